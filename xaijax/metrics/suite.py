"""The suite of metrics that `xaijax evaluate` computes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax import metrics
from xaijax.classifier import Classifier, to_unit_range
from xaijax.masks.fills import make_plain_fills
from xaijax.masks.segmentation import SLIC
from xaijax.sequential import map_rows

BETTER = {
    "original_probability": "",
    "probability": "higher",
    "area": "",
    "cp_score": "higher",
    "average_drop": "lower",
    "average_increase": "higher",
    "average_gain": "higher",
    "keeps_class": "higher",
    "inverse_loses_class": "higher",
    "deletion": "lower",
    "insertion": "higher",
    "smallest_area": "lower",
    "comprehensiveness": "higher",
    "sufficiency": "lower",
    "irof": "higher",
    "road_probability": "lower",
    "road_keeps_class": "lower",
    "sparseness": "higher",
    "entropy": "lower",
    "pointing_game": "higher",
    "pointing_game_15px": "higher",
    "energy_pointing_game": "higher",
    "box_iou": "higher",
    "box_precision": "higher",
    "box_recall": "higher",
}
"""Every metric, in the order of the table, and whether a higher or a lower mean is better."""

SEGMENTATION = SLIC()
"""The segments that IROF removes, the same for every run."""


@dataclasses.dataclass(frozen=True)
class ExplainedImage:
    """An image and its explanation by a run.

    Attributes:
        path: as in `results.jsonl`.
        pixels: `[H, W, C]` uint8, the crop that the classifier saw.
        score: `[H, W]` float32.
        mask: `[H, W]` bool.
        removes: whether the mask marks removed pixels (the deletion game) rather than kept ones.
        target: the class explained.
        boxes: `[N, 4]` left, top, right and bottom in pixels of the crop; None where the object is not located.
        elsewhere: `[H, W, C]` uint8, another photograph of the run; None where there is none.
    """

    path: str
    pixels: np.ndarray
    score: np.ndarray
    mask: np.ndarray
    removes: bool
    target: int
    boxes: np.ndarray | None
    elsewhere: np.ndarray | None = None


def measure(classifier: Classifier, batch: list[ExplainedImage], *, steps: int, fill: str) -> dict[str, np.ndarray]:
    """Measures a batch of explanations.

    Args:
        classifier: the one explained.
        batch: explanations of images of one size.
        steps: of the insertion and deletion curves, at least 1.
        fill: of the masks, by name or colour; the curves have their own.

    Returns:
        For each name in `BETTER` one figure per image, NaN where it is undefined.
    """
    images = np.stack([item.pixels for item in batch])
    scores = np.stack([item.score for item in batch])
    masks = np.stack([item.mask for item in batch])
    targets = np.array([item.target for item in batch])
    fills = _fills(fill, to_unit_range(jnp.asarray(images)), mean=classifier.mean)
    removes = np.array([item.removes for item in batch])[:, None, None]
    responses = metrics.mask_responses(classifier, images, masks != removes, targets, fills=fills)
    area = masks.mean(axis=(1, 2))
    original, masked = responses.original, responses.masked
    figures: dict[str, Any] = {
        "original_probability": original,
        "probability": masked,
        "area": area,
        "cp_score": metrics.cp_score(np.where(removes[:, 0, 0], 1 - masked, masked), area),
        "average_drop": metrics.drop(original, masked),
        "average_increase": metrics.increase(original, masked),
        "average_gain": metrics.gain(original, masked),
        "keeps_class": responses.keeps_class,
        "inverse_loses_class": responses.inverse_loses_class,
    }
    figures |= _perturbation(classifier, images, scores, targets, original, steps)
    figures |= {"sparseness": metrics.sparseness(scores), "entropy": metrics.entropy(scores)}
    figures |= _localisation(batch, scores, masks)
    return {name: np.asarray(figures[name], np.float64) for name in BETTER}


_fills = jax.jit(make_plain_fills, static_argnames=("fill", "mean"))


def _perturbation(
    classifier: Classifier,
    images: np.ndarray,
    scores: np.ndarray,
    targets: np.ndarray,
    original: np.ndarray,
    steps: int,
) -> dict[str, Any]:
    explained = (classifier, images, scores, targets)
    deletion = metrics.deletion_curve(*explained, steps=steps)
    insertion = metrics.insertion_curve(*explained, steps=steps)
    removed = metrics.deletion_curve(*explained, fractions=metrics.BINS)
    # Kept and removed pixels share one fill, so that the two figures measure the same change.
    kept = metrics.insertion_curve(*explained, fractions=metrics.BINS, fills=metrics.mean_fills(classifier, images))
    segments = _segment(images)
    irof = metrics.irof_curve(classifier, images, scores, segments, targets)
    road = metrics.road_curve(jax.random.key(0), *explained)
    return {
        "deletion": metrics.area_under_curve(deletion.fractions, deletion.probability),
        "insertion": metrics.area_under_curve(insertion.fractions, insertion.probability),
        "smallest_area": metrics.smallest_area(insertion.probability, insertion.fractions, original),
        "comprehensiveness": metrics.comprehensiveness(original, removed.probability),
        "sufficiency": metrics.sufficiency(original, kept.probability),
        "irof": metrics.area_over_curve(irof),
        "road_probability": road.probability.mean(axis=1),
        "road_keeps_class": road.keeps_class.mean(axis=1),
    }


@jax.jit
def _segment(images: jax.Array) -> jax.Array:
    return map_rows(lambda image: SEGMENTATION(to_unit_range(image)), images)


def _localisation(batch: list[ExplainedImage], scores: np.ndarray, masks: np.ndarray) -> dict[str, Any]:
    is_known = np.array([item.boxes is not None for item in batch])
    boxes = [np.zeros((0, 4)) if item.boxes is None else item.boxes for item in batch]
    objects = metrics.masks_of_boxes(boxes, *masks.shape[1:])
    overlap = metrics.overlap(masks, objects)
    figures = {
        "pointing_game": metrics.pointing_game(scores, objects, tolerance=0),
        "pointing_game_15px": metrics.pointing_game(scores, objects),
        "energy_pointing_game": metrics.energy_pointing_game(scores, objects),
        "box_iou": overlap.iou,
        "box_precision": overlap.precision,
        "box_recall": overlap.recall,
    }
    return {name: np.where(is_known, values, np.nan) for name, values in figures.items()}
