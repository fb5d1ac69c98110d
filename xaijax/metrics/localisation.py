"""Localisation metrics: whether scores and masks lie on the object, given by boxes or a mask of it.

References:
    Zhang et al., Top-down Neural Attention by Excitation Backprop (2016), arXiv 1608.00507, for the pointing game.
    Fong et al., Understanding Deep Networks via Extremal Perturbations (2019), arXiv 1910.08485, whose TorchRay plays
        it with a tolerance of 15 pixels.
    Wang et al., Score-CAM (2020), arXiv 1910.01279, for the energy pointing game.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from xaijax.metrics.ratio import ratio


@dataclasses.dataclass(frozen=True)
class Overlap:
    """The overlap of masks and objects; each figure is 0 where it would be 0 / 0.

    Attributes:
        iou: `[B]` float64 in [0, 1], pixels in both / pixels in either.
        precision: `[B]` float64 in [0, 1], pixels in both / pixels of the mask.
        recall: `[B]` float64 in [0, 1], pixels in both / pixels of the object.
    """

    iou: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def masks_of_boxes(boxes: Sequence[Any], height: int, width: int) -> np.ndarray:
    """Returns the pixels whose centre lies in any box of their image.

    Args:
        boxes: for each image `[N, 4]` numbers, left, top, right and bottom in pixels; a pixel is 1 wide, so that a box
            from 0 to `width` holds all columns.
        height: of the images in pixels.
        width: of the images in pixels.

    Returns:
        `[B, height, width]` bool.

    Raises:
        ValueError: the boxes of an image are not `[N, 4]`.
    """
    for boxes_of_image in boxes:
        if np.size(boxes_of_image) and np.shape(boxes_of_image)[-1] != 4:
            raise ValueError(
                f"the shape of an image's boxes is {np.shape(boxes_of_image)} but must be [N, 4]: left, top, right and "
                "bottom."
            )
    y, x = np.arange(height)[:, None] + 0.5, np.arange(width)[None] + 0.5
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, boxes_of_image in zip(masks, boxes, strict=True):
        for left, top, right, bottom in np.asarray(boxes_of_image, np.float64).reshape(-1, 4):
            mask |= (left <= x) & (x < right) & (top <= y) & (y < bottom)
    return masks


def pointing_game(scores: Any, objects: Any, *, tolerance: float = 15.0) -> np.ndarray:
    """Returns whether the highest score lies on the object, or within `tolerance` of it.

    Only the position of the highest score matters; of equal ones it is the first in raster order.

    Args:
        scores: `[B, H, W]`.
        objects: `[B, H, W]` bool; an empty object is never hit.
        tolerance: distance in pixels between the centres of the point and of the object's nearest pixel, at least 0;
            15 as in TorchRay, 0 to require a pixel of the object itself.

    Returns:
        `[B]` bool.
    """
    scores, objects = _pair(np.asarray(scores), objects)
    height, width = scores.shape[1:]
    row, column = np.divmod(np.argmax(scores.reshape(len(scores), -1), axis=1), width)
    y, x = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    distance = (y - row[:, None, None]) ** 2 + (x - column[:, None, None]) ** 2
    return np.any(objects & (distance <= tolerance**2), axis=(1, 2))


def energy_pointing_game(scores: Any, objects: Any) -> np.ndarray:
    """Returns the share of the positive scores that lies on the object; negative scores count as 0.

    Args:
        scores: `[B, H, W]`; their scale makes no difference.
        objects: `[B, H, W]` bool.

    Returns:
        `[B]` float64 in [0, 1]; 0 where no score is positive.
    """
    scores, objects = _pair(np.maximum(np.asarray(scores, np.float64), 0), objects)
    return ratio(np.sum(scores, axis=(1, 2), where=objects), np.sum(scores, axis=(1, 2)))


def overlap(masks: Any, objects: Any) -> Overlap:
    """Compares masks with objects.

    Args:
        masks: `[B, H, W]` bool, the pixels kept.
        objects: `[B, H, W]` bool.
    """
    masks, objects = _pair(np.asarray(masks, bool), objects)
    both, either = np.sum(masks & objects, axis=(1, 2)), np.sum(masks | objects, axis=(1, 2))
    return Overlap(
        iou=ratio(both, either),
        precision=ratio(both, np.sum(masks, axis=(1, 2))),
        recall=ratio(both, np.sum(objects, axis=(1, 2))),
    )


def _pair(maps: np.ndarray, objects: Any) -> tuple[np.ndarray, np.ndarray]:
    objects = np.asarray(objects, bool)
    if maps.shape != objects.shape or maps.ndim != 3:
        raise ValueError(
            f"objects of shape {objects.shape} do not fit maps of shape {maps.shape}; both must be "
            "[batch, height, width]; masks_of_boxes makes masks of boxes."
        )
    return maps, objects
