"""Confidence metrics: the probability of the class on the pixels of a mask, and on the rest of the image.

References:
    Chattopadhay et al., Grad-CAM++ (2018), arXiv 1710.11063, for drop and increase.
    Zhang et al., Opti-CAM: Optimizing saliency maps for interpretability (2024), arXiv 2301.07002, for gain.
"""

import dataclasses
from typing import Any

import numpy as np

from xaijax.classifier import Classifier
from xaijax.metrics.probe import check_explained, mean_fills, probe
from xaijax.metrics.ratio import ratio
from xaijax.metrics.shapes import check_shapes


@dataclasses.dataclass(frozen=True)
class MaskResponses:
    """The classifier's responses to whole images, to the pixels of their masks, and to the rest.

    Attributes:
        original: `[B]` float32, probability of the explained class on the whole image.
        masked: `[B]` float32, on the kept pixels.
        inverse: `[B]` float32, on the rest.
        area: `[B]` float64, kept pixels / all pixels.
        keeps_class: `[B]` bool, whether the classifier predicts the explained class on the kept pixels.
        inverse_loses_class: `[B]` bool, whether it predicts another class on the rest.
    """

    original: np.ndarray
    masked: np.ndarray
    inverse: np.ndarray
    area: np.ndarray
    keeps_class: np.ndarray
    inverse_loses_class: np.ndarray


def mask_responses(
    classifier: Classifier,
    images: Any,
    masks: Any,
    targets: Any,
    *,
    fills: Any = None,
    micro_batch: int | None = None,
) -> MaskResponses:
    """Runs the classifier on images, on their masks and on the inverse masks: three passes per image.

    Args:
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        masks: `[B, H, W]` bool, the pixels kept.
        targets: `[B]` integers, the classes explained, as in `Explanation.target`.
        fills: `[B, h, w, C]` float32 in [0, 1], replaces the pixels that are not kept; h and w are 1 or H and W. None
            is the mean of the classifier's data.
        micro_batch: masked images per forward pass; None takes `micro_batch_size`'s.

    Raises:
        ValueError: an argument does not fit; the message says which.
    """
    images, targets = check_explained(classifier, images, targets, masks=masks)
    masks = np.asarray(masks, bool)
    fills = mean_fills(classifier, images) if fills is None else fills
    # Kept pixels have rank 0 and the others rank 1: a count of 1 keeps the mask, a count of 2 the whole image.
    kept = probe(classifier, images, ~masks, [1, 2], targets, fills=fills, micro_batch=micro_batch)
    inverse = probe(classifier, images, masks, [1], targets, fills=fills, micro_batch=micro_batch)
    return MaskResponses(
        original=kept.probability[:, 1],
        masked=kept.probability[:, 0],
        inverse=inverse.probability[:, 0],
        area=np.mean(masks, axis=(1, 2)),
        keeps_class=kept.predicted[:, 0] == targets,
        inverse_loses_class=inverse.predicted[:, 0] != targets,
    )


def drop(original: Any, masked: Any) -> np.ndarray:
    """Returns the share of the probability that is lost, in [0, 1], one per image; the mean is the average drop.

    Args:
        original: `[...]` probability on the whole image, in [0, 1].
        masked: `[...]` probability on the kept pixels, in [0, 1].
    """
    original, masked = _pair(original, masked)
    return ratio(np.maximum(original - masked, 0), original)


def gain(original: Any, masked: Any) -> np.ndarray:
    """Returns the share of the gap to probability 1 that is closed, in [0, 1], one per image; the mean is average gain.

    Arguments as for `drop`. 0 where the whole image has probability 1 already.
    """
    original, masked = _pair(original, masked)
    return ratio(np.maximum(masked - original, 0), 1 - original)


def increase(original: Any, masked: Any) -> np.ndarray:
    """Returns whether the probability is above that on the whole image, bool; the mean is the average increase.

    Arguments as for `drop`.
    """
    original, masked = _pair(original, masked)
    return masked > original


def _pair(original: Any, masked: Any) -> tuple[np.ndarray, np.ndarray]:
    check_shapes(original=(original, "..."), masked=(masked, "..."))
    return np.asarray(original, np.float64), np.asarray(masked, np.float64)


def cp_score(probability: Any, area: Any) -> np.ndarray:
    """Returns probability / area, 0 for an empty mask; it rewards tiny masks, so read it beside both.

    Args:
        probability: `[...]` on the kept pixels, in [0, 1].
        area: `[...]` kept pixels / all pixels, in [0, 1].
    """
    check_shapes(probability=(probability, "..."), area=(area, "..."))
    return ratio(np.asarray(probability, np.float64), np.asarray(area, np.float64))


def smallest_area(probability: Any, area: Any, original: Any, *, share: float = 0.9) -> np.ndarray:
    """Returns the area of the smallest mask with at least `share` of the original probability.

    Args:
        probability: `[B, F]` of the masks of each image, or of its insertion curve; padded with NaN.
        area: `[B, F]`, or `[F]` for all images, in [0, 1]; padded with NaN.
        original: `[B]`, the probability on the whole image.
        share: of the original probability, in [0, 1].

    Returns:
        `[B]` float64 in [0, 1]; 1, the whole image, where no mask has enough.
    """
    check_shapes(
        probability=(probability, "B F"), area=(area, "B F" if np.ndim(area) > 1 else "F"), original=(original, "B")
    )
    probability = np.asarray(probability, np.float64)
    area = np.broadcast_to(np.asarray(area, np.float64), probability.shape)
    enough = probability >= share * np.asarray(original, np.float64)[:, None]
    return np.min(np.where(enough & ~np.isnan(area), area, 1.0), axis=1, initial=1.0)


def hypervolume(probability: Any, area: Any) -> np.ndarray:
    """Returns the share of the unit square of probability and saved area that a front dominates; higher is better.

    It is the area of the union of the rectangles that reach from (0, 0) to (probability, 1 - area).

    Args:
        probability: `[..., F]` in [0, 1], padded with NaN. Dominated masks make no difference.
        area: `[..., F]` in [0, 1], padded with NaN.

    Returns:
        `[...]` float64 in [0, 1]; 0 for an empty front.

    References:
        Zitzler and Thiele, Multiobjective Optimization Using Evolutionary Algorithms (1998).
    """
    check_shapes(probability=(probability, "... F"), area=(area, "... F"))
    probability, saved = np.asarray(probability, np.float64), 1 - np.asarray(area, np.float64)
    present = ~(np.isnan(probability) | np.isnan(saved))
    probability, saved = np.where(present, probability, 0), np.where(present, saved, 0)
    order = np.argsort(-probability, axis=-1)
    probability = np.take_along_axis(probability, order, axis=-1)
    reached = np.maximum.accumulate(np.take_along_axis(saved, order, axis=-1), axis=-1)
    widths = -np.diff(probability, axis=-1, append=0)  # down to the next lower probability, the last one down to 0
    return np.sum(widths * reached, axis=-1)
