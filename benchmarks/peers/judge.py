"""What score maps are worth, all judged by the same metrics of xaijax."""

from typing import Any

import numpy as np

import xaijax
from benchmarks.peers.contest import Answer, Subject
from xaijax.classifier import to_unit_range
from xaijax.masks.fills import make_plain_fills
from xaijax.metrics import (
    area_under_curve,
    deletion_curve,
    insertion_curve,
    overlap,
    pointing_game,
    smallest_area,
)

SHARE = 0.9
"""Of the original probability: what the smallest area must reach."""


def judge(
    classifier: xaijax.Classifier, subject: Subject, response: Answer, *, steps: int, fills: tuple[str, ...]
) -> dict[str, Any]:
    """Returns the metrics of a map.

    Insertion and deletion start and end at the same filled image, for each of `fills`. The point is the highest score,
    15 pixels beside the object at most; the overlap is that of as many highest scores as the object has pixels, so
    that all maps are judged at one area. Both are None where nobody said where the object is.
    """
    images, scores, targets = subject.pixels[None], response.score[None], np.array([subject.target])
    found: dict[str, Any] = {}
    for fill in fills:
        filled = np.asarray(make_plain_fills(fill, to_unit_range(images), mean=classifier.mean))
        inserted = insertion_curve(classifier, images, scores, targets, steps=steps, fills=filled)
        deleted = deletion_curve(classifier, images, scores, targets, steps=steps, fills=filled)
        area = smallest_area(inserted.probability, inserted.fractions, [subject.probability], share=SHARE)
        found[fill] = {
            "insertion": _number(area_under_curve(inserted.fractions, inserted.probability)),
            "deletion": _number(area_under_curve(deleted.fractions, deleted.probability)),
            "area": _number(area),
            "inserted": np.round(inserted.probability[0].astype(float), 4).tolist(),
        }
    return found | _located(scores, subject.object)


def _located(scores: np.ndarray, seen: np.ndarray | None) -> dict[str, float | None]:
    if seen is None or not seen.any():
        return {"pointing": None, "iou": None}
    order = np.argsort(-scores[0].ravel(), kind="stable")
    mask = np.zeros(seen.size, bool)
    mask[order[: seen.sum()]] = True
    iou = overlap(mask.reshape(1, *seen.shape), seen[None]).iou
    return {"pointing": _number(pointing_game(scores, seen[None])), "iou": _number(iou)}


def _number(values: np.ndarray) -> float:
    return round(float(values[0]), 6)
