"""E-LIME's claims, tried: 30 runs of the published objective on each image, beside the `lime` package.

    python -m benchmarks.peers.runs IMAGES... --weights FILE
    python -m benchmarks.peers.runs cifar10.npz --model densenet_bc_100_12_cifar --weights FILE

The paper says that the probability of the class rises over 30 runs, within a minute and ten times faster than LIME. An
`.npz` holds uint8 `images`. `lime` explains the same image once, with the same segments and fill, 1,000 samples, in its
tuned batch; its mask is the picture of its documentation, the five segments that speak most for the class. Rows go to
a journal, so that the same command goes on where it was stopped.
"""

import dataclasses
import functools
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.compare import less, mean_of, verdict
from benchmarks.common.judged import masked_probability
from benchmarks.common.photographs import PhotographOptions, choose_photographs, read_photographs
from benchmarks.common.record import RESULTS, plain_options, told, write_record
from benchmarks.peers.contest import BLACK, BLURRED, Subject, timed
from benchmarks.peers.journal import Journal, Row
from benchmarks.peers.original import Original, Source, fastest
from benchmarks.peers.packages import lime_weights
from xaijax.classifier import to_unit_range
from xaijax.masks.fills import make_plain_fills

PICTURE = 5
"""Segments in the picture that lime's documentation shows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Tries what the E-LIME paper claims.

    Attributes:
        count: images.
        runs: of the search on each image, each with another seed.
        evaluations: of each run.
        samples: of lime.
    """

    count: int = 10
    runs: int = 30
    evaluations: int = 120
    samples: int = 1000

    @property
    def stem(self) -> str:
        """Name of what is written."""
        return f"runs_{self.model}"


def read(options: Options, classifier: xaijax.Classifier) -> tuple[list[str], np.ndarray]:
    """Returns the names and the pixels `[B, H, W, 3]` uint8 of the images."""
    if options.images[0].suffix == ".npz":
        images = np.load(options.images[0])["images"]
        places = np.linspace(0, len(images) - 1, options.count).round().astype(int)
        return [f"{options.images[0].name}:{place}" for place in places], images[places]
    paths = choose_photographs(options.images, options.count)
    return [path.name for path in paths], read_photographs(paths, classifier)


def run_many_times(classifier: xaijax.Classifier, pixels: np.ndarray, options: Options) -> tuple[Row, Any]:
    """Returns the row of an image, and the explanation of its first run."""
    method = xaijax.ELIME(
        objective="probability",
        evaluations=options.evaluations,
        segmentation=options.segmentation,
        fill=options.fill,
    )
    key = jax.random.key(options.seed)
    explain = functools.partial(xaijax.explain, key, classifier, pixels[None], method=method)
    first = jax.device_get(explain())  # compiles
    start = time.perf_counter()
    jax.block_until_ready(explain())
    seconds = time.perf_counter() - start
    many = jax.device_get(explain(repeats=options.runs))
    row = {
        "seconds": round(seconds, 3),
        "original": round(float(many.original_probability[0]), 6),
        "probability": np.round(many.stability.probability[0].astype(float), 6).tolist(),
        "area": np.round(many.stability.area[0].astype(float), 6).tolist(),
        "overlap": round(float(many.stability.overlap[0]), 4),
    }
    return row, first


def explain_by_lime(
    classifier: xaijax.Classifier, original: Original, pixels: np.ndarray, first: Any, options: Options
) -> Row:
    """Returns lime's row of the same image, with the segments and the class of a run."""
    blurred = np.asarray(make_plain_fills("blur", to_unit_range(pixels[None]), mean=classifier.mean))[0]
    blurred = np.broadcast_to(blurred, pixels.shape)
    target, probability = int(first.target[0]), float(first.original_probability[0])
    subject = Subject("", pixels, target, probability, first.segments[0], blurred, pixels, None)
    setting = {"blur": BLURRED, "black": BLACK}[options.fill]
    call = functools.partial(lime_weights, original, samples=options.samples, batch=original.batch, setting=setting)
    weights: Any
    weights, seconds = timed(call, subject)
    best = [segment for segment in np.argsort(-weights)[:PICTURE] if weights[segment] > 0]
    mask = np.isin(subject.segments, best)
    fill = subject.fill(setting)
    reached = masked_probability(classifier, pixels[None], mask[None, None], [target], np.asarray(fill)[None])[0, 0]
    return {"seconds": round(seconds, 3), "probability": round(float(reached), 6), "area": round(float(mask.mean()), 6)}


def figures(journal: Journal, names: list[str]) -> dict[str, Any]:
    """Returns what the runs tell, each with its interval over the images, and the differences from lime."""
    runs, lime = ({row["image"]: row for row in journal.all(kind=kind) if row["image"] in names} for kind in KINDS)
    before = {image: row["original"] for image, row in runs.items()}
    after = {image: float(np.mean(row["probability"])) for image, row in runs.items()}
    of_lime = {image: row["probability"] for image, row in lime.items()}
    rise, against = mean_of(less(after, before)), mean_of(less(after, of_lime))
    gap = {image: (after[image] - before[image]) / max(1 - before[image], 1e-6) for image in after}
    rows = list(runs.values())
    return {
        "images": len(runs),
        "probability before": mean_of(before),
        "probability after": mean_of(after),
        "rise": rise,
        "does it rise": verdict(rise, 1, len(runs)),
        "share of the gap to certainty closed": mean_of(gap),
        "share of runs that rise": told(np.array([np.mean(np.array(r["probability"]) > r["original"]) for r in rows])),
        "spread over the runs": told(np.array([np.std(row["probability"]) for row in rows])),
        "area": told(np.array([np.mean(row["area"]) for row in rows])),
        "overlap above chance": told(np.array([row["overlap"] for row in rows])),
        "seconds a run": told(np.array([row["seconds"] for row in rows])),
        "lime: probability on its picture": mean_of(of_lime),
        "after, less lime's": against,
        "than lime's": verdict(against, 1, len(lime)),
        "lime: area of its picture": told(np.array([row["area"] for row in lime.values()])),
        "lime: seconds": told(np.array([row["seconds"] for row in lime.values()])),
        "times faster than lime": told(np.array([lime[image]["seconds"] / runs[image]["seconds"] for image in lime])),
    }


KINDS = ("runs", "lime")


def main(options: Options) -> None:
    classifier = xaijax.models.load(options.model, options.weights)
    names, images = read(options, classifier)
    measured = {name: value for name, value in plain_options(options).items() if name not in ("images", "count")}
    journal = Journal(RESULTS / f"{options.stem}.jsonl", measured)
    source = Source(options.model, Path(str(options.weights)), classifier.mean, classifier.std)
    tuning = journal.once(lambda: dict(zip(("best", "times"), fastest(source, images[0]), strict=True)), kind="tuning")
    original = Original(source, **tuning["best"])
    for name, pixels in zip(names, images, strict=True):
        if not journal.find(kind="lime", image=name):
            row, first = run_many_times(classifier, pixels, options)
            of_lime = explain_by_lime(classifier, original, pixels, first, options)
            journal.once(lambda row=row: row, kind="runs", image=name)
            journal.once(lambda row=of_lime: row, kind="lime", image=name)
    write_record(options.stem, {"options": plain_options(options), "figures": figures(journal, names)})


if __name__ == "__main__":
    main(tyro.cli(Options))
