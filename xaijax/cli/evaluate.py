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

from xaijax.atomic_files import check_writable, write_json
from xaijax.classifier import Classifier
from xaijax.cli.evaluation import Evaluation
from xaijax.cli.exit_codes import EXPLAINED, SOME_FAILED
from xaijax.cli.explained_run import boxes_of, read_boxes, read_explanations, read_run
from xaijax.cli.options import EvaluateOptions
from xaijax.masks.fills import check_fill, split_fill
from xaijax.metrics import ELSEWHERE, JUDGING_FILLS, judged_run, summarise
from xaijax.metrics.judged_run import JudgedRun, judge_explanations
from xaijax.metrics.judging import check_judging_fill
from xaijax.metrics.suite import SEGMENTATION, ExplainedImage, measure
from xaijax.micro_batches import micro_batch_size
from xaijax.models.zoo import load
from xaijax.printable import printable
from xaijax.runtime.device.versions import package_versions
from xaijax.runtime.layout import METRICS

LOAD_OPTIONS = ("num_classes", "mean", "std", "padding", "dtype")  # settings of a run that `load` takes


def run(options: EvaluateOptions) -> int:
    """Measures the run, and prints its metrics."""
    arguments = {name: value for name, value in vars(options).items() if name != "folder"}
    found = evaluate_run(options.folder, **arguments)
    for path, error in found.skipped[:10]:
        print(f"xaijax: {printable(path)}: {printable(error)}", file=sys.stderr)
    print(found.as_text())
    print(f"figures of every image: {options.folder / METRICS}")
    return SOME_FAILED if found.skipped else EXPLAINED


def evaluate_run(
    folder: Path,
    *,
    steps: int = 32,
    fill: str | None = None,
    fills: str = ",".join(JUDGING_FILLS),
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
        fills: what maps and masks are judged under, separated by commas; see `xaijax.metrics.judging_fills`.
        weights: of the model, where they are no longer where the run found them.
        boxes: CSV file with the columns name, x0, y0, x1 and y1, in pixels of the crop; an image may have several.
        batch_size: images measured at a time.

    Raises:
        ValueError: the folder or the options cannot be evaluated; the message says why and what to do.
    """
    if steps < 1 or batch_size < 1:
        raise ValueError(f"steps is {steps} and batch-size {batch_size}, but both must be at least 1.")
    record, rows = read_run(folder)
    check_writable(folder)
    settings = record["settings"]
    fill = fill or _fill_of(settings)
    check_fill(fill)
    if fill == "segment-mean":
        raise ValueError("fill 'segment-mean' needs the segments of the run, which its folder does not hold.")
    judged_by = tuple(dict.fromkeys(name.strip() for name in fills.split(",")))
    for name in judged_by:
        check_judging_fill(name)
    all_boxes = None if boxes is None else read_boxes(boxes)
    if all_boxes is not None and not any(boxes_of(row, all_boxes) is not None for row in rows):
        raise ValueError(f"{str(boxes)!r} names none of the images of the run; its names must be theirs.")
    options = {name: settings[name] for name in LOAD_OPTIONS if settings.get(name) is not None}
    classifier = load(settings["model"], weights or settings.get("weights"), **options)
    skipped: list[tuple[str, str]] = []
    base = None if record["folder"] is None else Path(record["folder"])
    items = read_explanations(folder, base, rows, classifier, all_boxes, skipped, elsewhere=ELSEWHERE in judged_by)
    size = max(1, min(batch_size, len(rows)))
    evaluated, figures, by_fill = _measure_all(items, classifier, steps, fill, judged_by, size)
    if not evaluated:
        raise ValueError(f"no image of the run can be evaluated; the first: {skipped[0][1] if skipped else 'none'}")
    summaries = {name: summarise(values) for name, values in figures.items() if not np.isnan(values).all()}
    judged = JudgedRun(by_fill, settings["options"].get("fill"))
    if not judged.fills:
        raise ValueError("the run holds no second photograph for fill 'elsewhere' to show; name other --fills.")
    found = Evaluation(summaries, figures, judged, fill, evaluated, skipped)
    setting = {
        "steps": steps,
        "fill": fill,
        "segmentation": repr(SEGMENTATION),
        "boxes": None if boxes is None else str(boxes),
        "micro_batch": micro_batch_size((*classifier.input_size, classifier.channels), jax.default_backend()),
        "versions": package_versions(),
    }
    write_json(folder / METRICS, setting | found.as_record())
    return found


def _fill_of(settings: dict[str, Any]) -> str:
    """Returns the fill that a run's masks were found with, the first of several, that can be made without segments."""
    fills = split_fill(settings["options"].get("fill") or "image-mean")
    return next((fill for fill in fills if fill != "segment-mean"), "image-mean")


def _measure_all(
    items: Iterator[ExplainedImage],
    classifier: Classifier,
    steps: int,
    fill: str,
    judged_by: tuple[str, ...],
    batch_size: int,
) -> tuple[list[ExplainedImage], dict[str, np.ndarray], judged_run.Figures]:
    """Measures batch after batch; the last one is filled up, so that all have one size and one compilation.

    Returns:
        The explanations, without their arrays, for each metric one figure per explanation, and the same by fill.
    """
    evaluated: list[ExplainedImage] = []
    found: list[dict[str, np.ndarray]] = []
    judged: list[judged_run.Figures] = []
    nothing = np.zeros(0)
    with tqdm(unit="image", disable=None if sys.stderr.isatty() else True, file=sys.stderr) as bar:
        while batch := list(itertools.islice(items, batch_size)):
            full = batch + [batch[-1]] * (batch_size - len(batch))
            measured = measure(classifier, full, steps=steps, fill=fill)
            under_fills = judge_explanations(classifier, full, fills=judged_by, steps=steps)
            found.append({name: values[: len(batch)] for name, values in measured.items()})
            judged.append({name: {m: v[: len(batch)] for m, v in own.items()} for name, own in under_fills.items()})
            evaluated += [
                dataclasses.replace(item, pixels=nothing, score=nothing, mask=nothing, elsewhere=None) for item in batch
            ]
            bar.update(len(batch))
    if not evaluated:
        return [], {}, {}
    figures = {name: np.concatenate([own[name] for own in found]) for name in found[0]}
    by_fill = {
        name: {metric: np.concatenate([own[name][metric] for own in judged]) for metric in judged[0][name]}
        for name in judged[0]
    }
    return evaluated, figures, by_fill
