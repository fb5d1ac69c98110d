"""IROF: what happens to the probability as whole segments are removed in the order of their mean score.

References:
    Rieger and Hansen, IROF: a low resource evaluation metric for explanation methods (2020), arXiv 2003.08747.
"""

from typing import Any

import numpy as np

from xaijax.classifier import Classifier
from xaijax.metrics.probe import check_explained, mean_fills, probe
from xaijax.metrics.shapes import check_shapes


def irof_curve(
    classifier: Classifier,
    images: Any,
    scores: Any,
    segments: Any,
    targets: Any,
    *,
    fills: Any = None,
    micro_batch: int | None = None,
) -> np.ndarray:
    """Removes the segments of highest mean score first; of equal ones, the one of lower label.

    Args:
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        scores: `[B, H, W]` float32, as in `Explanation.score`.
        segments: `[B, H, W]` integers of any values, one label per pixel.
        targets: `[B]` integers, the classes explained, as in `Explanation.target`.
        fills: `[B, h, w, C]` float32 in [0, 1], what a removed segment becomes; None is the mean of the classifier's
            data.
        micro_batch: masked images per forward pass; None takes `micro_batch_size`'s.

    Returns:
        `[B, S + 1]` float32, the probability after 0, 1, ... segments were removed, with S the largest number of
        segments in an image; NaN past the last segment of an image.

    Raises:
        ValueError: an argument does not fit; the message says which.
    """
    images, targets = check_explained(classifier, images, targets, scores=scores, segments=segments)
    fills = mean_fills(classifier, images) if fills is None else fills
    ranks = [
        _ranks_from_last(score, labels) for score, labels in zip(np.asarray(scores), np.asarray(segments), strict=True)
    ]
    lengths = np.array([rank.max() + 1 for rank in ranks])
    counts = lengths[:, None] - np.arange(lengths.max() + 1)
    return probe(classifier, images, np.stack(ranks), counts, targets, fills=fills, micro_batch=micro_batch).probability


def _ranks_from_last(score: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the rank of each pixel's segment, 0 for the last to be removed."""
    _, number, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.bincount(number.reshape(-1), weights=score.reshape(-1).astype(np.float64)) / sizes
    ranks = np.empty(len(sizes), np.int32)
    ranks[np.argsort(-means, kind="stable")] = np.arange(len(sizes) - 1, -1, -1)
    return ranks[number.reshape(labels.shape)]


def area_over_curve(probability: Any) -> np.ndarray:
    """Returns IROF: the area over the curves of probability relative to the whole image; higher is better.

    Args:
        probability: `[B, S + 1]` as `irof_curve` returns it, NaN after an image's last segment.

    Returns:
        `[B]` float64, at most 1, by trapezoids of equal width; below 0 where removing segments raised the probability.
    """
    check_shapes(probability=(probability, "B T"))
    probability = np.asarray(probability, np.float64)
    areas = []
    for curve in probability:
        relative = curve[: np.flatnonzero(~np.isnan(curve))[-1] + 1] / np.maximum(curve[0], np.finfo(np.float64).tiny)
        areas.append(1 - np.trapezoid(relative) / (len(relative) - 1))
    return np.array(areas)
