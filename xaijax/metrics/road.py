"""ROAD: the classifier's output as pixels are removed by noisy linear imputation, which leaves no trace of the mask.

References:
    Rong et al., A Consistent and Efficient Evaluation Strategy for Attribution Methods (2022), arXiv 2202.00449.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.classifier import Classifier, to_unit_range
from xaijax.metrics.imputation import impute
from xaijax.metrics.insertion_deletion import Curves, pixel_counts
from xaijax.metrics.probe import check_explained, falling_ranks, probe
from xaijax.sequential import map_rows

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def road_curve(
    key: jax.Array,
    classifier: Classifier,
    images: Any,
    scores: Any,
    targets: Any,
    *,
    fractions: Sequence[float] = FRACTIONS,
    first: Literal["highest", "lowest"] = "highest",
    noise: float = 0.01,
    micro_batch: int | None = None,
) -> Curves:
    """Removes pixels by imputation and runs the classifier on the resulting images.

    The paper's figure is the mean over images of `keeps_class`, with the true class as the explained one: lower is
    better if the highest scores are removed first, higher if the lowest are.

    Args:
        key: for the noise; every image gets the same.
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        scores: `[B, H, W]` float32, as in `Explanation.score`.
        targets: `[B]` integers, the classes explained, as in `Explanation.target`.
        fractions: of the pixels to remove, rising, below 1.
        first: whether the highest or the lowest scores are removed first; of equal ones, the first in raster order in
            the former case and the last in the latter.
        noise: standard deviation of the noise added to imputed pixels, at least 0; the sum is clipped to [0, 1].
        micro_batch: masked images per forward pass; None takes `micro_batch_size`'s.

    Raises:
        ValueError: an argument does not fit; the message says which.
    """
    images, targets = check_explained(classifier, images, targets, scores=scores)
    ranks = falling_ranks(scores)
    size = ranks[0].size
    counts = pixel_counts(size, 1, fractions)
    if counts.max() == size:
        raise ValueError(f"fractions {tuple(fractions)} must stay below 1: nothing is left to impute from.")
    if first == "highest":
        ranks = size - 1 - ranks  # the remaining pixels are those of lowest rank
    probability, predicted = [], []
    for index, left in enumerate(size - counts):
        fills = imputed_fills(jax.random.fold_in(key, index), images, ranks < left, noise)
        responses = probe(classifier, images, ranks, [left], targets, fills=fills, micro_batch=micro_batch)
        probability.append(responses.probability)
        predicted.append(responses.predicted)
    keeps_class = np.concatenate(predicted, axis=1) == targets[:, None]
    return Curves(counts / size, np.concatenate(probability, axis=1), keeps_class)


@jax.jit
def imputed_fills(key: jax.Array, images: jax.Array, known: jax.Array, noise: float) -> jax.Array:
    """Returns images `[B, H, W, C]` whose pixels that are not `known` `[B, H, W]` are imputed, with noise added."""
    drawn = jax.random.normal(key, (images[0].size,), jnp.float32).reshape(images.shape[1:])
    added = drawn * jnp.asarray(noise, jnp.float32)

    def fill(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        return jnp.clip(impute(to_unit_range(pair[0]), pair[1]) + added, 0, 1)

    return map_rows(fill, (images, known))
