"""What the papers claim, tried: E-LIME's 30 runs, and the CP score of Evolving Binary Masks beside other methods."""

import functools
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import xaijax
from benchmarks.common.record import told
from benchmarks.peers.contest import Subject
from benchmarks.peers.figures import less, mean_of
from benchmarks.peers.journal import Journal, Row
from benchmarks.peers.judge import SHARE
from benchmarks.peers.options import Options
from benchmarks.peers.own import BINARY_MASKS


def run_many_times(
    classifier: xaijax.Classifier, subjects: Sequence[Subject], journal: Journal, options: Options
) -> None:
    """Runs the published objective with many seeds on a few subjects, evenly spaced among all."""
    method = xaijax.ELIME(
        objective="probability",
        evaluations=options.claim_evaluations,
        segmentation=options.segmentation,
        fill=options.fill,
    )
    places = np.linspace(0, len(subjects) - 1, min(options.claim_images, len(subjects))).round().astype(int)
    for place in places:
        subject = subjects[place]

        def measure(subject: Subject = subject) -> Row:
            explain = functools.partial(
                xaijax.explain,
                jax.random.key(options.seed),
                classifier,
                subject.pixels[None],
                np.array([subject.target]),
                method=method,
            )
            jax.block_until_ready(explain())  # compiles
            start = time.perf_counter()
            jax.block_until_ready(explain())
            seconds = time.perf_counter() - start
            result = jax.device_get(explain(repeats=options.claim_runs))
            return {
                "seconds": round(seconds, 3),
                "original": round(float(result.original_probability[0]), 6),
                "probability": np.round(result.stability.probability[0].astype(float), 6).tolist(),
                "area": np.round(result.stability.area[0].astype(float), 6).tolist(),
                "overlap": round(float(result.stability.overlap[0]), 4),
            }

        journal.once(measure, kind="runs", image=subject.name)


def figures_of_runs(journal: Journal) -> dict[str, Any]:
    """Tells how far the probability rises over the runs, how often, and how alike the runs are."""
    rows = journal.all(kind="runs")
    if not rows:
        return {}
    original = np.array([row["original"] for row in rows])[:, None]
    reached = np.array([row["probability"] for row in rows])
    return {
        "images": len(rows),
        "runs": reached.shape[1],
        "original probability": told(original[:, 0]),
        "rise of the probability": told((reached - original).mean(axis=1)),
        "share of the gap to certainty": told(((reached - original) / np.maximum(1 - original, 1e-6)).mean(axis=1)),
        "share of runs that rise": told((reached > original).mean(axis=1)),
        "spread of the probability": told(reached.std(axis=1)),
        "overlap above chance": told(np.array([row["overlap"] for row in rows])),
        "area": told(np.array([np.mean(row["area"]) for row in rows])),
        "seconds a run": told(np.array([row["seconds"] for row in rows])),
    }


def cp_scores(rows: Sequence[Row], quoted: dict[str, str], fill: str) -> list[dict[str, Any]]:
    """Compares probability / area: at the area of BinaryMasks' own mask, and where each map reaches 0.9.

    The masks of a map are its highest scores; their probability is read off the insertion curve.
    """
    squares = {row["image"]: row for row in rows if row["method"] == BINARY_MASKS and "mask_area" in row}
    own_masks = {image: row["mask_probability"] / row["mask_area"] for image, row in squares.items()}
    found = []
    for method in dict.fromkeys(row["method"] for row in rows):
        chosen = [row for row in rows if row["method"] == method and row["image"] in squares]
        setting = quoted.get(method) or max((row["setting"] for row in chosen), key=int, default="")
        own = {row["image"]: row for row in chosen if row["setting"] == setting}
        if not own:
            continue
        same_area = {image: _at(row, squares[image]["mask_area"], fill) for image, row in own.items()}
        smallest = {image: SHARE * row["probability"] / _area(row[fill]) for image, row in own.items()}
        found.append(
            {"method": method, "setting": setting, "images": len(own)}
            | {"at the area of BinaryMasks": mean_of(same_area)}
            | {"less that of BinaryMasks' own masks": mean_of(less(same_area, own_masks))}
            | {"at the smallest area with 0.9": mean_of(smallest)}
        )
    if own_masks:
        name = f"{BINARY_MASKS}, its own masks"
        own_line = {"method": name, "setting": "", "images": len(own_masks)}
        found.append(own_line | {"at the area of BinaryMasks": mean_of(own_masks)})
    return found


def _at(row: Row, area: float, fill: str) -> float:
    curve = row[fill]["inserted"]
    return float(np.interp(area, np.linspace(0, 1, len(curve)), curve)) / area


def _area(judged: Row) -> float:
    return max(judged["area"], 1 / (len(judged["inserted"]) - 1))  # at least a step: an empty mask has no CP score
