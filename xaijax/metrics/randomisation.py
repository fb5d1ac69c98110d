"""The parameter-randomisation sanity check: an explanation of a network must change when the network does.

The layers are randomised one after another from the top (the logits) to the bottom, and after each the explanation is
compared with that of the trained network. An explainer whose maps hardly change draws edges, not explanations.

References:
    Adebayo et al., Sanity Checks for Saliency Maps (2018), arXiv 1810.03292.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from xaijax.arguments import check_images
from xaijax.classifier import Classifier
from xaijax.metrics.robustness import Explainer
from xaijax.metrics.shapes import check_shapes


@dataclasses.dataclass(frozen=True)
class Cascade:
    """The similarity of explanations to the original ones as a network is randomised from the top.

    Attributes:
        layers: the paths of the parameters randomised at each step, in addition to those of earlier steps.
        correlation: `[L, B]` float64 in [-1, 1], Spearman's, with the maps of the trained network.
    """

    layers: tuple[tuple[str, ...], ...]
    correlation: np.ndarray


def randomisation_cascade(
    key: jax.Array,
    classifier: Classifier,
    images: Any,
    explainer: Explainer,
    *,
    layers: Sequence[Sequence[str]] | None = None,
) -> Cascade:
    """Randomises the layers of a classifier from the top to the bottom, and explains after each step.

    Args:
        key: for the parameters.
        classifier: any; it is not changed.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        explainer: see `Explainer`; it must hold the classes fixed.
        layers: the paths of the parameters of each step, top first; None takes `layers_from_top`.

    Raises:
        ValueError: a path is not that of a parameter.
    """
    images = check_images(images, classifier.channels)
    steps = layers_from_top(classifier) if layers is None else tuple(tuple(step) for step in layers)
    trained = np.asarray(explainer(classifier, images))
    correlation = []
    for index, step in enumerate(steps):
        classifier = randomise(jax.random.fold_in(key, index), classifier, step)
        correlation.append(spearman(trained, np.asarray(explainer(classifier, images))))
    return Cascade(steps, np.stack(correlation))


def randomise(key: jax.Array, classifier: Classifier, paths: Sequence[str]) -> Classifier:
    """Returns the classifier with the values of some of its parameter arrays permuted.

    A permutation preserves the distribution of each array, so that no initialiser has to be known, and leaves constant
    arrays, such as a bias of zeros, unchanged.

    Args:
        key: for the permutations.
        classifier: any; it is not changed.
        paths: of the arrays, as `parameter_paths` lists them.

    Raises:
        ValueError: a path is not that of a parameter.
    """
    known = parameter_paths(classifier)
    unknown = sorted(set(paths) - set(known))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no parameter of this classifier, which has {', '.join(known)}.")
    leaves, structure = jax.tree.flatten(classifier.params)
    for index, path in enumerate(known):
        if path in paths:
            flat = np.asarray(leaves[index]).reshape(-1)
            order = np.asarray(jax.random.bits(jax.random.fold_in(key, index), (flat.size,))).argsort(kind="stable")
            leaves[index] = jnp.asarray(flat[order].reshape(leaves[index].shape))
    return dataclasses.replace(classifier, params=jax.tree.unflatten(structure, leaves))


def parameter_paths(classifier: Classifier) -> tuple[str, ...]:
    """Returns the path of each array of a classifier, such as `stages/0/1/conv1/kernel`, in the order of the pytree."""
    value_key = jax.tree_util.GetAttrKey("value")  # NNX holds an array as the value of a variable
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(classifier.params)[0]]
    paths = [path[:-1] if path[-1:] == (value_key,) else path for path in paths]
    return tuple(jax.tree_util.keystr(path, simple=True, separator="/") for path in paths)


def layers_from_top(classifier: Classifier) -> tuple[tuple[str, ...], ...]:
    """Returns the paths of the arrays of each layer, in the reverse order of the forward pass.

    A layer is all arrays under the same path; an array at the top of the pytree is a layer of its own. The order is
    read from the traced program rather than from names: a layer's position is the first operation that combines one of
    its arrays with a value that depends on the image. Layers that are never combined with the image come last.
    """
    paths = parameter_paths(classifier)
    used = _first_uses(classifier)
    layers: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        layers.setdefault(path.rpartition("/")[0] or path, []).append(index)
    bottom_up = sorted(
        layers.values(), key=lambda members: min((used[index] for index in members if used[index] >= 0), default=-1)
    )
    return tuple(tuple(paths[index] for index in members) for members in reversed(bottom_up))


def _first_uses(classifier: Classifier) -> list[int]:
    """Returns, for each array, the rank of the operation that combines it with the image; -1 where none does."""
    leaves, structure = jax.tree.flatten(classifier.params)

    def forward(leaves: list[jax.Array], image: jax.Array) -> jax.Array:
        return classifier.apply(jax.tree.unflatten(structure, leaves), image)[0]

    image = jax.ShapeDtypeStruct((1, *classifier.input_size, classifier.channels), jnp.float32)
    program = jax.make_jaxpr(forward)(leaves, image).jaxpr
    uses = [-1] * len(leaves)
    order = _combined_with_image(program, [*({index} for index in range(len(leaves))), None])
    for rank, index in enumerate(order):
        if uses[index] < 0:
            uses[index] = rank
    return uses


def _combined_with_image(program: Any, inputs: list[set[int] | None]) -> Iterator[int]:
    """Yields the arrays in the order in which operations combine them with the image; an array may come repeatedly.

    Args:
        program: a jaxpr.
        inputs: for each of its inputs the arrays that it is computed from, or None where it depends on the image.
    """
    sources: dict[Any, set[int] | None] = dict(zip(program.invars, inputs, strict=True))
    for operation in program.eqns:
        origins = [set() if isinstance(value, Literal) else sources.get(value, set()) for value in operation.invars]
        arrays = set().union(*(origin for origin in origins if origin is not None))
        sees_image = any(origin is None for origin in origins)
        inner = [value for value in operation.params.values() if hasattr(value, "jaxpr") or hasattr(value, "eqns")]
        if sees_image and len(inner) == 1:
            inside = getattr(inner[0], "jaxpr", inner[0])
            if len(inside.invars) == len(origins):
                yield from _combined_with_image(inside, origins)
        if sees_image:
            yield from sorted(arrays)  # those that an inner program has yielded come again
        sources.update((value, None if sees_image else arrays) for value in operation.outvars)


def spearman(first: Any, second: Any) -> np.ndarray:
    """Returns Spearman's rank correlation of each pair of maps; ties share their mean rank.

    Args:
        first: `[B, ...]`; only the order of its values matters.
        second: `[B, ...]`, likewise.

    Returns:
        `[B]` float64 in [-1, 1]; 0 where a map is constant.
    """
    check_shapes(first=(first, "B ..."), second=(second, "B ..."))
    correlations = []
    for pair in zip(np.asarray(first), np.asarray(second), strict=True):
        a, b = (_mean_ranks(values.reshape(-1)) for values in pair)
        size = np.sqrt(np.sum(a**2) * np.sum(b**2))
        correlations.append(np.clip(np.sum(a * b) / size, -1, 1) if size > 0 else 0.0)
    return np.array(correlations)


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """Returns ranks centred on 0, ties sharing their mean rank."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2 - (len(values) + 1) / 2)[index]
