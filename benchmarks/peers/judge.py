"""What score maps are worth, all judged by the same metrics of xaijax."""

from typing import Any

import numpy as np

import xaijax
from benchmarks.peers.contest import Answer, Subject
from xaijax import metrics
from xaijax.metrics import overlap, pointing_game


def judge(
    classifier: xaijax.Classifier, subject: Subject, response: Answer, *, steps: int, fills: tuple[str, ...]
) -> dict[str, Any]:
    """Returns the metrics of a map.

    Insertion and deletion start and end at the same filled image, for each of `fills`. The point is the highest score,
    15 pixels beside the object at most; the overlap is that of as many highest scores as the object has pixels, so
    that all maps are judged at one area. Both are None where nobody said where the object is.
    """
    images, scores, targets = subject.pixels[None], response.score[None], np.array([subject.target])
    mask = np.zeros(scores.shape, bool) if response.mask is None else response.mask[None]
    found: dict[str, Any] = {}
    for name in fills:
        filled = metrics.judging_fills(name, images, mean=classifier.mean, elsewhere=subject.elsewhere[None])
        judged = metrics.judge(classifier, images, scores, mask, targets, fills=filled, steps=steps)
        found[name] = {
            "insertion": _number(judged.insertion),
            "deletion": _number(judged.deletion),
            "area": _number(judged.smallest_area),
            "inserted": np.round(judged.inserted[0].astype(float), 4).tolist(),
        }
        if response.mask is not None:
            found[name]["masked"] = _number(judged.masked)
    if response.mask is not None:
        found["mask_area"] = round(float(response.mask.mean()), 6)
    return found | _located(scores, subject.object)


def _located(scores: np.ndarray, seen: np.ndarray | None) -> dict[str, float | None]:
    if seen is None or not seen.any():
        return {"pointing": None, "iou": None}
    iou = overlap(highest(scores[0], int(seen.sum()))[None], seen[None]).iou
    return {"pointing": _number(pointing_game(scores, seen[None])), "iou": _number(iou)}


def highest(score: np.ndarray, count: int) -> np.ndarray:
    """Returns the mask `[H, W]` of the `count` pixels of highest score, of equal ones the first in raster order."""
    mask = np.zeros(score.size, bool)
    mask[np.argsort(-score.ravel(), kind="stable")[:count]] = True
    return mask.reshape(score.shape)


def _number(values: np.ndarray) -> float:
    return round(float(values[0]), 6)
