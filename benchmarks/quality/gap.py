"""How far E-LIME raises the probability, and how well its masks meet true objects.

    python -m benchmarks.quality.gap                                                      on generated scenes
    python -m benchmarks.quality.gap --model mobilenet_v2 --weights FILE IMAGES...        on photographs

The gap closed is (p - p0) / (1 - p0): the share of the way from the probability on the whole image to certainty. A row
without a mask that beats the whole image counts with the gap that its best mask has, negative where it lost.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import choose_photographs, read_photographs
from benchmarks.common.record import write_record
from xaijax.cli.demo.scenes import METHOD
from xaijax.metrics import overlap, summarise
from xaijax.scenes.generator import generate

CHUNK = 256  # scenes generated at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    images: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    model: str = "scenes-resnet"
    weights: str | None = None
    evaluations: int = 1000
    count: int = 32  # scenes, or at most so many photographs
    overlap_count: int = 64
    segmentation: str = "slic"
    fill: str = "blur"
    scene_fill: str = "image-mean"
    seed: int = 0


def gap_figures(result: xaijax.Explanation) -> dict[str, Any]:
    """Returns the figures of rows of an explanation."""
    before, after = np.asarray(result.original_probability, float), np.asarray(result.probability, float)
    gap = (after - before) / (1 - before)
    closed = summarise(gap)
    return {
        "rows": len(gap),
        "p0": before.mean(),
        "p": after.mean(),
        "gap_closed": closed.mean,
        "gap_closed_95": [closed.low, closed.high],
        "share_raised": float(np.mean(after > before)),
        "area": float(np.mean(result.area)),
        "all_segments_kept": int(np.sum(np.asarray(result.mask).all(axis=(1, 2)))),
        "evaluations": float(np.mean(result.evaluations)),
    }


def uncertain_scenes(classifier: xaijax.Classifier, count: int, seed: int) -> np.ndarray:
    """Returns scenes whose class the classifier names with a probability below 0.95, in the order of their keys."""
    found: list[np.ndarray] = []
    chunk = 0
    while len(found) < count:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1000 + seed), chunk), CHUNK)
        scenes = jax.device_get(generate(keys))
        probability = np.asarray(jax.nn.softmax(classifier(scenes.image), axis=1))
        right = probability.argmax(axis=1) == scenes.label
        found += list(scenes.image[right & (probability.max(axis=1) < 0.95)])
        chunk += 1
    return np.stack(found[:count])


def best_union(segments: np.ndarray, truth: np.ndarray) -> float:
    """Returns the highest intersection over union that a union of segments has with an object."""
    area = np.bincount(segments.ravel())
    inside = np.bincount(segments.ravel(), weights=truth.ravel())
    order = np.argsort(-inside / np.maximum(area, 1))  # the best union takes the purest segments first
    area, inside = np.cumsum(area[order]), np.cumsum(inside[order])
    return float(np.max(inside / (area + truth.sum() - inside)))


def overlap_figures(classifier: xaijax.Classifier, count: int, seed: int) -> dict[str, Any]:
    """Returns how the demo's own settings meet the true objects of fresh scenes."""
    scenes = jax.device_get(generate(jax.random.split(jax.random.key(2000 + seed), count)))
    result = jax.device_get(xaijax.explain(jax.random.key(seed), classifier, scenes.image, method=METHOD))
    reached = overlap(result.mask, scenes.mask).iou
    possible = [best_union(np.asarray(result.segments[i]), np.asarray(scenes.mask[i])) for i in range(count)]
    return {
        "rows": count,
        "evaluations": METHOD.evaluations,
        "area_weight": METHOD.area_weight,
        "overlap": float(np.mean(reached)),
        "best_union": float(np.mean(possible)),
        "share_of_best": float(np.mean(reached) / np.mean(possible)),
    }


def main(options: Options) -> None:
    classifier = xaijax.models.load(options.model, options.weights)
    if options.images:
        paths = choose_photographs(options.images, options.count)
        images = read_photographs(paths, classifier)
        fill, name = options.fill, f"gap_{options.model}"
    else:
        images = uncertain_scenes(classifier, options.count, options.seed)
        fill, name = options.scene_fill, "gap_scenes"
    method = xaijax.ELIME(
        evaluations=options.evaluations, segmentation=options.segmentation, fill=fill, objective="probability"
    )
    result = jax.device_get(xaijax.explain(jax.random.key(options.seed), classifier, images, method=method))
    figures = {"model": options.model, "method": dataclasses.asdict(method), "all": gap_figures(result)}
    below = np.asarray(result.original_probability) < 0.95
    if 0 < below.sum() < len(below):
        figures["p0 below 0.95"] = gap_figures(jax.tree.map(lambda leaf: leaf[below], result))
    if not options.images:
        figures["overlap"] = overlap_figures(classifier, options.overlap_count, options.seed)
    write_record(name, figures)


if __name__ == "__main__":
    main(tyro.cli(Options))
