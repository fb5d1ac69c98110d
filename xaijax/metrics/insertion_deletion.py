"""Perturbation metrics: what happens to the probability as pixels are deleted or inserted in the order of the scores.

References:
    Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box Models (2018), arXiv 1806.07421.
    DeYoung et al., ERASER: A Benchmark to Evaluate Rationalized NLP Models (2020), arXiv 1911.03429.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from xaijax.classifier import Classifier
from xaijax.metrics.probe import blurred_fills, check_explained, falling_ranks, mean_fills, probe
from xaijax.metrics.shapes import check_shapes

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""The fractions of the pixels that ERASER keeps or removes."""


@dataclasses.dataclass(frozen=True)
class Curves:
    """The classifier's output as pixels are inserted or removed.

    Attributes:
        fractions: `[T]` float64 in [0, 1], rising, pixels inserted or removed / all pixels.
        probability: `[B, T]` float32, of the explained class.
        keeps_class: `[B, T]` bool, whether the classifier predicts the explained class.
    """

    fractions: np.ndarray
    probability: np.ndarray
    keeps_class: np.ndarray


def insertion_curve(
    classifier: Classifier,
    images: Any,
    scores: Any,
    targets: Any,
    *,
    steps: int = 224,
    fractions: Sequence[float] | None = None,
    fills: Any = None,
    micro_batch: int | None = None,
) -> Curves:
    """Inserts the pixels of highest score first; of equal ones, the first in raster order.

    Args:
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        scores: `[B, H, W]` float32, as in `Explanation.score`.
        targets: `[B]` integers, the classes explained, as in `Explanation.target`.
        steps: number of equal steps from no pixel to all, both end points included; 32 is a fast setting.
        fractions: of the pixels to insert, in place of equal steps.
        fills: `[B, h, w, C]` float32 in [0, 1], what the pixels are inserted into; h and w are 1 or H and W. None is
            RISE's: the image blurred by a Gaussian of sigma 5 and kernel 11 (mirrored at the border).
        micro_batch: masked images per forward pass; None takes `micro_batch_size`'s.

    Raises:
        ValueError: an argument does not fit; the message says which.
    """
    images, targets = check_explained(classifier, images, targets, scores=scores)
    fills = blurred_fills(images) if fills is None else fills
    ranks = falling_ranks(scores)
    size = ranks[0].size
    counts = pixel_counts(size, steps, fractions)
    responses = probe(classifier, images, ranks, counts, targets, fills=fills, micro_batch=micro_batch)
    return Curves(counts / size, responses.probability, responses.predicted == targets[:, None])


def deletion_curve(
    classifier: Classifier,
    images: Any,
    scores: Any,
    targets: Any,
    *,
    steps: int = 224,
    fractions: Sequence[float] | None = None,
    fills: Any = None,
    micro_batch: int | None = None,
) -> Curves:
    """Deletes the pixels of highest score first; of equal ones, the first in raster order.

    Arguments and errors are those of `insertion_curve`, except that `fills` replaces the deleted pixels: None is
    RISE's, zero in normalised space, which is the mean of the classifier's data.
    """
    images, targets = check_explained(classifier, images, targets, scores=scores)
    fills = mean_fills(classifier, images) if fills is None else fills
    ranks = falling_ranks(scores)
    size = ranks[0].size
    counts = pixel_counts(size, steps, fractions)
    # The remaining pixels are the first ones in the opposite order.
    responses = probe(
        classifier, images, size - 1 - ranks, size - counts, targets, fills=fills, micro_batch=micro_batch
    )
    return Curves(counts / size, responses.probability, responses.predicted == targets[:, None])


def pixel_counts(size: int, steps: int, fractions: Sequence[float] | None = None) -> np.ndarray:
    """Returns how many of `size` pixels are inserted or removed at each step, rounded half to even; `[T]` int64."""
    if steps < 1:
        raise ValueError(f"steps is {steps} but must be at least 1.")
    wanted = np.arange(steps + 1) / steps if fractions is None else np.asarray(fractions, np.float64)
    if not ((wanted >= 0) & (wanted <= 1)).all() or (np.diff(wanted) < 0).any():
        raise ValueError(f"fractions {fractions} must rise within [0, 1].")
    return np.round(wanted * size).astype(np.int64)


def area_under_curve(fractions: Any, probability: Any) -> np.ndarray:
    """Returns the area under curves of probability by the trapezoidal rule, in [0, 1] for `fractions` from 0 to 1.

    Higher is better for insertion, lower for deletion. Only the order of the scores matters.

    Args:
        fractions: `[T]`, rising.
        probability: `[..., T]` in [0, 1].

    Returns:
        `[...]` float64.
    """
    check_shapes(fractions=(fractions, "T"), probability=(probability, "... T"))
    return np.asarray(np.trapezoid(np.asarray(probability, np.float64), np.asarray(fractions, np.float64), axis=-1))


def comprehensiveness(original: Any, removed: Any) -> np.ndarray:
    """Returns how much probability is lost when the pixels of highest score are removed; higher is better.

    Args:
        original: `[B]`, the probability on the whole image.
        removed: `[B, N]`, the probability without the pixels of highest score, at the fractions `BINS`.

    Returns:
        `[B]` float64 in [-1, 1], the mean over the fractions, as in ERASER.
    """
    check_shapes(original=(original, "B"), removed=(removed, "B N"))
    return np.asarray(original, np.float64) - np.mean(np.asarray(removed, np.float64), axis=1)


def sufficiency(original: Any, kept: Any) -> np.ndarray:
    """Returns how much probability is lost when only the pixels of highest score are kept; lower is better.

    Args:
        original: `[B]`, the probability on the whole image.
        kept: `[B, N]`, the probability with only the pixels of highest score, at the fractions `BINS`.

    Returns:
        `[B]` float64 in [-1, 1], the mean over the fractions, as in ERASER.
    """
    check_shapes(original=(original, "B"), kept=(kept, "B N"))
    return np.asarray(original, np.float64) - np.mean(np.asarray(kept, np.float64), axis=1)
