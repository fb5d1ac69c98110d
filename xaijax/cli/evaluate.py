"""`xaijax evaluate`: the folder of a finished run in, the metrics of its explanations out."""

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from xaijax.atomic_files import write_json
from xaijax.classifier import Classifier
from xaijax.cli.exit_codes import EXPLAINED, SOME_FAILED
from xaijax.cli.explained_run import boxes_of, read_boxes, read_explanations, read_run
from xaijax.cli.options import EvaluateOptions
from xaijax.masks.fills import check_fill
from xaijax.metrics import Summary, summarise
from xaijax.metrics.suite import BETTER, SEGMENTATION, ExplainedImage, measure
from xaijax.micro_batches import micro_batch_size
from xaijax.models.zoo import load
from xaijax.report.table import text_table
from xaijax.runtime.device.versions import package_versions
from xaijax.runtime.layout import METRICS

LOAD_OPTIONS = ("num_classes", "mean", "std", "padding", "dtype")  # settings of a run that `load` takes


def run(options: EvaluateOptions) -> int:
    """Measures the run, and prints its metrics."""
    arguments = {name: value for name, value in vars(options).items() if name != "folder"}
    found = evaluate_run(options.folder, **arguments)
    for path, error in found.skipped[:10]:
        print(f"xaijax: {path}: {error}", file=sys.stderr)
    print(table(found))
    print(f"figures of every image: {options.folder / METRICS}")
    return SOME_FAILED if found.skipped else EXPLAINED


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        summaries: of each metric that says something of an image.
        fill: what stood where the masks were 0.
        images: explanations in the run.
        skipped: path of each explanation that was not evaluated, and why.
    """

    summaries: dict[str, Summary]
    fill: str
    images: int
    skipped: list[tuple[str, str]]


def evaluate_run(
    folder: Path,
    *,
    steps: int = 32,
    fill: str | None = None,
    weights: str | None = None,
    boxes: Path | None = None,
    batch_size: int = 8,
) -> Evaluation:
    """Measures the explanations of a run and writes `metrics.json` into its folder.

    Args:
        folder: of a finished run of `xaijax explain`.
        steps: of the insertion and deletion curves; 224 is RISE's.
        fill: what stands where a mask is 0; None is the run's own, or the image's mean where it has none, or one that
            only its segments tell.
        weights: of the model, where they are no longer where the run found them.
        boxes: CSV file with the columns name, x0, y0, x1 and y1, in pixels of the crop; an image may have several.
        batch_size: images measured at a time.

    Raises:
        ValueError: the folder or the options cannot be evaluated; the message says why and what to do.
    """
    if steps < 1 or batch_size < 1:
        raise ValueError(f"steps is {steps} and batch-size {batch_size}, but both must be at least 1.")
    record, rows = read_run(folder)
    settings = record["settings"]
    fill = fill or _fill_of(settings)
    check_fill(fill)
    if fill == "segment-mean":
        raise ValueError("fill 'segment-mean' needs the segments of the run, which its folder does not hold.")
    all_boxes = None if boxes is None else read_boxes(boxes)
    if all_boxes is not None and not any(boxes_of(row, all_boxes) is not None for row in rows):
        raise ValueError(f"{str(boxes)!r} names none of the images of the run; its names must be theirs.")
    options = {name: settings[name] for name in LOAD_OPTIONS if settings.get(name) is not None}
    classifier = load(settings["model"], weights or settings.get("weights"), **options)
    skipped: list[tuple[str, str]] = []
    base = None if record["folder"] is None else Path(record["folder"])
    items = read_explanations(folder, base, rows, classifier, all_boxes, skipped)
    evaluated, figures = _measure_all(items, classifier, steps, fill, max(1, min(batch_size, len(rows))))
    if not evaluated:
        raise ValueError(f"no image of the run can be evaluated; the first: {skipped[0][1] if skipped else 'none'}")
    summaries = {name: summarise(values) for name, values in figures.items() if not np.isnan(values).all()}
    told_of = {
        "steps": steps,
        "fill": fill,
        "segmentation": repr(SEGMENTATION),
        "boxes": None if boxes is None else str(boxes),
        "micro_batch": micro_batch_size((*classifier.input_size, classifier.channels), jax.default_backend()),
        "versions": package_versions(),
        "metrics": {name: {"better": BETTER[name], **vars(summary)} for name, summary in summaries.items()},
        "images": [
            {"path": item.path, "target": item.target} | {name: _number(figures[name][index]) for name in summaries}
            for index, item in enumerate(evaluated)
        ],
        "skipped": [{"path": path, "error": error} for path, error in skipped],
    }
    write_json(folder / METRICS, told_of)
    return Evaluation(summaries, fill, len(rows), skipped)


def table(found: Evaluation) -> str:
    """Returns the metrics as text, a line each with its mean, its 95% interval and what is better."""
    header = ("metric", "mean", "95% interval", "better", "images")
    lines = [
        (name, f"{s.mean:.3f}", f"{s.low:.3f} to {s.high:.3f}", BETTER[name], str(s.images))
        for name, s in found.summaries.items()
    ]
    evaluated = found.images - len(found.skipped)
    summary = f"{evaluated} of {found.images} images evaluated; the masks' fill is {found.fill}"
    return f"{text_table(header, lines)}\n{summary}"


def _fill_of(settings: dict[str, Any]) -> str:
    """Returns the fill that a run's masks were found with, as far as it can be made without segments."""
    fill = settings["options"].get("fill")
    return fill if fill and fill != "segment-mean" else "image-mean"


def _measure_all(
    items: Iterator[ExplainedImage], classifier: Classifier, steps: int, fill: str, batch_size: int
) -> tuple[list[ExplainedImage], dict[str, np.ndarray]]:
    """Measures batch after batch; the last one is filled up, so that all have one size and one compilation.

    Returns:
        The explanations, without their arrays, and for each metric one figure per explanation.
    """
    evaluated: list[ExplainedImage] = []
    found: dict[str, list[np.ndarray]] = {name: [] for name in BETTER}
    nothing = np.zeros(0)
    with tqdm(unit="image", disable=None if sys.stderr.isatty() else True, file=sys.stderr) as bar:
        while batch := list(itertools.islice(items, batch_size)):
            full = batch + [batch[-1]] * (batch_size - len(batch))
            for name, values in measure(classifier, full, steps=steps, fill=fill).items():
                found[name].append(values[: len(batch)])
            evaluated += [dataclasses.replace(item, pixels=nothing, score=nothing, mask=nothing) for item in batch]
            bar.update(len(batch))
    return evaluated, {name: np.concatenate(parts) for name, parts in found.items() if parts}


def _number(value: float) -> float | None:
    """Returns a figure as JSON has it: there is no NaN."""
    return None if np.isnan(value) else round(float(value), 6)
