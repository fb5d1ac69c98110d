"""The classifier passes of metrics: each image with only its pixels of lowest rank kept, for many counts at once."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.arguments import check_images
from xaijax.classifier import Classifier, to_unit_range
from xaijax.masks import ranked
from xaijax.masks.fills import gaussian_blur
from xaijax.metrics.shapes import check_shapes
from xaijax.micro_batches import Scenario, evaluate, micro_batch_size
from xaijax.sequential import map_rows

CHUNK = 256  # counts per compiled call; metrics with fewer share one program, as padding costs no passes


@dataclasses.dataclass(frozen=True)
class Responses:
    """The classifier's responses to masked images.

    Attributes:
        probability: `[B, P]` float32, of the explained class; NaN where the count is below 0.
        predicted: `[B, P]` int32, the predicted class; -1 where the count is below 0.
    """

    probability: np.ndarray
    predicted: np.ndarray


def probe(
    classifier: Classifier,
    images: Any,
    ranks: Any,
    counts: Any,
    targets: Any,
    *,
    fills: Any,
    micro_batch: int | None = None,
) -> Responses:
    """Runs the classifier on images of which only the pixels of lowest rank are kept.

    Args:
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        ranks: `[B, H, W]` integers; a pixel is kept where its rank is below the count.
        counts: `[B, P]` or `[P]` integers, one masked image each; below 0 for none.
        targets: `[B]` integers, the classes explained, as in `Explanation.target`.
        fills: `[B, h, w, C]` float32 in [0, 1], replaces the pixels that are not kept; h and w are 1 or H and W.
        micro_batch: masked images per forward pass; None takes `micro_batch_size`'s.

    Raises:
        ValueError: the arrays do not fit together, or a target is not a class.
    """
    images, targets = check_explained(classifier, images, targets, ranks=ranks)
    if micro_batch is None:
        micro_batch = micro_batch_size(images.shape[1:], jax.default_backend())
    counts = np.broadcast_to(np.asarray(counts, np.int32), (len(images), np.shape(counts)[-1]))
    try:
        fills = jnp.broadcast_to(jnp.asarray(fills, jnp.float32), images.shape)
    except ValueError as error:
        raise ValueError(
            f"the shape of fills is {np.shape(fills)} but must be [B, h, w, C], with h and w 1 or H and W, for "
            f"images of shape {images.shape}."
        ) from error
    ranks = np.asarray(ranks, np.int32)
    probability, predicted = [], []
    for start in range(0, counts.shape[1], CHUNK):
        chunk = counts[:, start : start + CHUNK]
        padded = np.pad(chunk, ((0, 0), (0, CHUNK - chunk.shape[1])), constant_values=-1)
        responses = jax.device_get(_evaluate(classifier, images, fills, ranks, padded, targets, micro_batch))
        probability.append(np.where(chunk >= 0, responses[0][:, : chunk.shape[1]], np.float32(np.nan)))
        predicted.append(np.where(chunk >= 0, responses[1][:, : chunk.shape[1]], -1))
    return Responses(np.concatenate(probability, axis=1), np.concatenate(predicted, axis=1))


@functools.partial(jax.jit, static_argnums=6)
def _evaluate(
    classifier: Classifier,
    images: jax.Array,
    fills: jax.Array,
    ranks: jax.Array,
    counts: jax.Array,
    targets: jax.Array,
    micro_batch: int,
) -> tuple[jax.Array, jax.Array]:
    scenario = Scenario(images=images, fills=fills, contexts=ranks)
    response = evaluate(
        classifier, ranked.decode, scenario, counts[..., None], counts >= 0, targets, micro_batch=micro_batch
    )
    return response.probability, response.predicted


def check_explained(classifier: Classifier, images: Any, targets: Any, **maps: Any) -> tuple[Any, np.ndarray]:
    """Returns images as uint8 or float32 and targets as `[B]` int32, or raises ValueError.

    Args:
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        targets: `[B]` integers, classes of the classifier.
        **maps: `[B, H, W]`, what belongs to each pixel, by name.
    """
    images = check_images(images, classifier.channels)
    check_shapes(images=(images, "B H W C"), **{name: (array, "B H W") for name, array in maps.items()})
    return images, check_targets(targets, len(images), classifier.num_classes)


def check_targets(targets: Any, count: int, num_classes: int) -> np.ndarray:
    """Returns `targets` as `[count]` int32, or raises ValueError."""
    targets = np.asarray(targets)
    if targets.shape != (count,) or not np.issubdtype(targets.dtype, np.integer):
        raise ValueError(
            f"targets have shape {targets.shape} and type {targets.dtype} but must be [{count}] integers, the class "
            "explained in each image; an explanation has them as `target`."
        )
    for target in targets:
        if not 0 <= target < num_classes:
            raise ValueError(
                f"target {target} is not a class of this classifier, which has {num_classes} (0 to {num_classes - 1})."
            )
    return targets.astype(np.int32)


def falling_ranks(scores: Any) -> np.ndarray:
    """Returns the rank of each pixel by falling score, ties in raster order; `[B, H, W]` int32.

    Args:
        scores: `[B, H, W]` score maps, without NaN.

    Raises:
        ValueError: a map holds NaN, or they are not `[B, H, W]`.
    """
    check_shapes(scores=(scores, "B H W"))
    scores = np.asarray(scores, np.float32)
    if np.isnan(scores).any():
        raise ValueError("score maps hold NaN, so that their pixels have no order; leave out explanations that failed.")
    return np.asarray(_ranks(scores))


_ranks = jax.jit(jax.vmap(ranked.ranks))


def mean_fills(classifier: Classifier, images: Any) -> np.ndarray:
    """Returns the mean of the classifier's data, which normalises to zero, as a fill `[B, 1, 1, C]` float32."""
    return np.tile(np.asarray(classifier.mean, np.float32), (len(images), 1, 1, 1))


@jax.jit
def blurred_fills(images: jax.Array) -> jax.Array:
    """Returns the images `[B, H, W, C]` blurred by a Gaussian of sigma 5 cut to a kernel of 11 pixels, as a fill."""
    return map_rows(lambda image: gaussian_blur(to_unit_range(image), 5.0, 5), images)
