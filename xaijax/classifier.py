"""The classifier contract: what the search needs to know of a network, and how one becomes it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

Parameters = Any
"""A pytree of arrays."""

Apply = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]
"""`apply(params, images, taps=(), perturbations=None) -> (logits, activations)`.

`images` is `[N, H, W, C]` float32 in [0, 1]; normalisation is inside. `logits` is `[N, K]` float32. `activations` holds
one array for each name in `taps`; `perturbations` maps tap names to arrays that are added there. Hashable, so that a
compiled search is found again.
"""


class Taps:
    """Collects the named activations that were asked for, and perturbs those that are to be perturbed.

    A network calls it where an activation may be of interest: `x = taps("stage1", x)`.
    """

    def __init__(self, names: tuple[str, ...] = (), perturbations: Mapping[str, jax.Array] | None = None) -> None:
        self.names = names
        self.perturbations = perturbations or {}
        self.activations: dict[str, jax.Array] = {}

    def __call__(self, name: str, activation: jax.Array) -> jax.Array:
        """Passes `activation` through, recorded and perturbed where that was asked for."""
        if name in self.perturbations:
            activation = activation + self.perturbations[name]
        if name in self.names:
            self.activations[name] = activation
        return activation


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier:
    """An image classifier: parameters, and all that is fixed about it.

    A pytree whose leaves are the parameters, so that it is an argument of a compiled search and never a constant in it.

    Attributes:
        params: pytree of arrays.
        apply: see `Apply`.
        name: what it is called, for records.
        num_classes: classes; with `activation="sigmoid"` and one logit, the two classes "no" (0) and "yes" (1).
        channels: channels of an image.
        input_size: height and width that the network was trained for, in pixels.
        resize: the short side in pixels to which a photograph is resized before the centre crop of `input_size`; None
            resizes it to `input_size` outright.
        interpolation: of that resizing.
        mean: per channel, of [0, 1] pixels.
        std: per channel, of [0, 1] pixels.
        activation: what makes probabilities of logits.
        labels: a name a class, or empty.
        taps: names of the activations that `apply` can return.
    """

    params: Parameters
    apply: Apply = dataclasses.field(metadata={"static": True})
    num_classes: int = dataclasses.field(metadata={"static": True})
    name: str = dataclasses.field(default="", metadata={"static": True})
    channels: int = dataclasses.field(default=3, metadata={"static": True})
    input_size: tuple[int, int] = dataclasses.field(default=(224, 224), metadata={"static": True})
    resize: int | None = dataclasses.field(default=None, metadata={"static": True})
    interpolation: Literal["bilinear", "bicubic"] = dataclasses.field(default="bilinear", metadata={"static": True})
    mean: tuple[float, ...] = dataclasses.field(default=(0.0, 0.0, 0.0), metadata={"static": True})
    std: tuple[float, ...] = dataclasses.field(default=(1.0, 1.0, 1.0), metadata={"static": True})
    activation: Literal["softmax", "sigmoid"] = dataclasses.field(default="softmax", metadata={"static": True})
    labels: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})
    taps: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns the logits `[B, K]` of `images` `[B, H, W, C]`, uint8 or float in [0, 1]."""
        return _logits(self, jnp.asarray(images))

    def label(self, target: int) -> str:
        """Returns the name of class `target`, or its number where the classifier has no labels."""
        return self.labels[target] if self.labels else str(target)

    @classmethod
    def from_nnx(cls, module: nnx.Module, **facts: Any) -> "Classifier":
        """Makes a classifier of a Flax NNX module.

        Args:
            module: called as `module(images)`, with `images` normalised by `mean` and `std`, it returns logits
                `[N, K]`. A module with an attribute `tap_names` is called as `module(images, taps)` with a `Taps`.
            **facts: fields of `Classifier`; `num_classes` is required.
        """
        module.eval()
        graph, state = nnx.split(module)
        state = jax.tree.map(jnp.asarray, state)
        names = tuple(getattr(module, "tap_names", ()))
        channels = facts.get("channels", 3)
        facts.setdefault("mean", (0.0,) * channels)
        facts.setdefault("std", (1.0,) * channels)
        apply = NNXApply(graph, tuple(facts["mean"]), tuple(facts["std"]), bool(names))
        return cls(params=state, apply=apply, taps=names, **facts)

    @classmethod
    def from_function(cls, function: Callable[[Parameters, jax.Array], jax.Array], params: Parameters, **facts: Any) -> "Classifier":  # fmt: skip
        """Makes a classifier of a plain function.

        Args:
            function: `function(params, images) -> logits`, with `images` `[N, H, W, C]` normalised by `mean` and `std`.
                It stands for itself in the compilation cache: pass the same object again, not a new lambda.
            params: pytree of arrays, or None.
            **facts: fields of `Classifier`; `num_classes` is required.
        """
        channels = facts.get("channels", 3)
        facts.setdefault("mean", (0.0,) * channels)
        facts.setdefault("std", (1.0,) * channels)
        return cls(params=params, apply=FunctionApply(function, tuple(facts["mean"]), tuple(facts["std"])), **facts)


def normalise(images: jax.Array, mean: tuple[float, ...], std: tuple[float, ...]) -> jax.Array:
    """Returns `(images - mean) / std`, a channel at a time; `[N, H, W, C]`."""
    return (images - jnp.asarray(mean, images.dtype)) / jnp.asarray(std, images.dtype)


def to_unit_range(images: jax.Array) -> jax.Array:
    """Returns uint8 images as float32 in [0, 1], and float images as float32."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / jnp.float32(255)
    return images.astype(jnp.float32)


@jax.jit
def _logits(classifier: Classifier, images: jax.Array) -> jax.Array:
    return classifier.apply(classifier.params, to_unit_range(images))[0]


@dataclasses.dataclass(frozen=True)
class NNXApply:
    """The forward pass of an NNX module; equal for equal graphs, so that two loads of one network share a compilation."""

    graph: nnx.GraphDef
    mean: tuple[float, ...]
    std: tuple[float, ...]
    has_taps: bool

    def __call__(
        self,
        params: Parameters,
        images: jax.Array,
        taps: tuple[str, ...] = (),
        perturbations: Mapping[str, jax.Array] | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Apply`."""
        module = nnx.merge(self.graph, params)
        images = normalise(images, self.mean, self.std)
        if not self.has_taps:
            return module(images).astype(jnp.float32), {}
        recorder = Taps(taps, perturbations)
        return module(images, recorder).astype(jnp.float32), recorder.activations


@dataclasses.dataclass(frozen=True)
class FunctionApply:
    """The forward pass of a plain function; it has no taps."""

    function: Callable[[Parameters, jax.Array], jax.Array]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(
        self,
        params: Parameters,
        images: jax.Array,
        taps: tuple[str, ...] = (),
        perturbations: Mapping[str, jax.Array] | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Apply`."""
        return self.function(params, normalise(images, self.mean, self.std)).astype(jnp.float32), {}
