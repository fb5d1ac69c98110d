"""`xaijax evaluate`: the folder of a finished run in, the metrics of its explanations out."""

import csv
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
from xaijax.evaluation import micro_batch_size
from xaijax.masks.fills import check_fill
from xaijax.metrics import Summary, summarise
from xaijax.metrics.suite import BETTER, SEGMENTATION, ExplainedImage, measure
from xaijax.models.preprocessing import preprocess
from xaijax.models.zoo import load
from xaijax.report.table import text_table
from xaijax.runtime.device.versions import package_versions
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_source
from xaijax.runtime.layout import METRICS, PACKED
from xaijax.runtime.output.record import read_record
from xaijax.runtime.output.result_files import read_arrays
from xaijax.runtime.output.result_lines import Row, read_results

LOAD_OPTIONS = ("num_classes", "mean", "std", "padding", "dtype")  # settings of a run that `load` takes


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
    if all_boxes is not None and not any(_boxes_of(row, all_boxes) is not None for row in rows):
        raise ValueError(f"{str(boxes)!r} names none of the images of the run; its names must be theirs.")
    options = {name: settings[name] for name in LOAD_OPTIONS if settings.get(name) is not None}
    classifier = load(settings["model"], weights or settings.get("weights"), **options)
    skipped: list[tuple[str, str]] = []
    base = None if record["folder"] is None else Path(record["folder"])
    items = _read_all(folder, base, rows, classifier, all_boxes, skipped)
    told, figures = _measure_all(items, classifier, steps, fill, max(1, min(batch_size, len(rows))))
    if not told:
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
            for index, item in enumerate(told)
        ],
        "skipped": [{"path": path, "error": error} for path, error in skipped],
    }
    write_json(folder / METRICS, told_of)
    return Evaluation(summaries, fill, len(rows), skipped)


def read_run(folder: Path) -> tuple[dict[str, Any], list[Row]]:
    """Returns `run.json` of a finished run and the lines of its results.

    Raises:
        ValueError: the folder holds no run that can be evaluated.
    """
    record = read_record(folder)
    if not {"model", "options"} <= record["settings"].keys():
        raise ValueError(f"{str(folder)!r} does not say what model it is of; evaluate a run of `xaijax explain`.")
    rows = list(read_results(folder))
    for name in ("scores", "masks"):
        there = (folder / name).is_dir() or (folder / PACKED).is_dir()
        if not there and any("error" not in row for row in rows):
            raise ValueError(
                f"{str(folder)!r} holds no {name}, which the metrics are about; explain the images again into another "
                "folder, with --save masks scores, or packed."
            )
    return record, rows


def read_boxes(path: Path) -> dict[str, np.ndarray]:
    """Returns the boxes `[N, 4]` of each image that a CSV file names.

    Raises:
        ValueError: the file is missing, or no table of boxes.
    """
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error}); name a CSV file of boxes.") from error
    found: dict[str, list[list[float]]] = {}
    for number, line in enumerate(lines, 2):
        try:
            box = [float(line[column]) for column in ("x0", "y0", "x1", "y1")]
            name = line["name"] if "name" in line else line["path"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"line {number} of {str(path)!r} is no box; each needs name,x0,y0,x1,y1 under a header of these words."
            ) from error
        found.setdefault(name, []).append(box)
    return {name: np.array(boxes) for name, boxes in found.items()}


def table(found: Evaluation) -> str:
    """Returns the metrics as text, a line each with its mean, its 95% interval and what is better."""
    header = ("metric", "mean", "95% interval", "better", "images")
    lines = [
        (name, f"{s.mean:.3f}", f"{s.low:.3f} to {s.high:.3f}", BETTER[name], str(s.images))
        for name, s in found.summaries.items()
    ]
    evaluated = found.images - len(found.skipped)
    told = f"{evaluated} of {found.images} images evaluated; the masks' fill is {found.fill}"
    return f"{text_table(header, lines)}\n{told}"


def _fill_of(settings: dict[str, Any]) -> str:
    """Returns the fill that a run's masks were found with, as far as it can be made without segments."""
    fill = settings["options"].get("fill")
    return fill if fill and fill != "segment-mean" else "image-mean"


def _boxes_of(row: dict[str, Any], all_boxes: dict[str, np.ndarray]) -> np.ndarray | None:
    return all_boxes.get(row["path"], all_boxes.get(Path(row["path"]).name))


def _read_all(
    folder: Path,
    base: Path | None,
    rows: list[dict[str, Any]],
    classifier: Classifier,
    all_boxes: dict[str, np.ndarray] | None,
    skipped: list[tuple[str, str]],
) -> Iterator[ExplainedImage]:
    """Yields the explanations of a run one after another, and writes to `skipped` why one is left out."""
    for row in rows:
        try:
            yield _read(folder, base, row, classifier, all_boxes)
        except UnreadableImageError as error:
            skipped.append((row["path"], str(error)))


def _read(
    folder: Path, base: Path | None, row: Row, classifier: Classifier, all_boxes: dict[str, np.ndarray] | None
) -> ExplainedImage:
    """Reads what belongs to a line of the results; raises UnreadableImageError where something is not there."""
    if "error" in row:
        raise UnreadableImageError(f"it was not explained: {row['error']}")
    if "against" in row:
        raise UnreadableImageError(
            f"it tells {row['label']} from {row['against_label']}, and metrics are about a class against all others; "
            "explain without --against."
        )
    source = find_source(row["path"], base)
    name = Path(source.name).name
    if "://" not in source.container and not Path(source.container).exists():
        raise UnreadableImageError(f"{name} is no longer at {source.container!r}; move it back.")
    image, identity = source.read(classifier.channels)
    if identity.sha256 != row.get("sha256"):
        raise UnreadableImageError(f"{name} has changed since it was explained; explain it again.")
    try:
        mask, score = read_arrays(folder, row)
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableImageError(f"the mask or score map of {name} cannot be read; explain it again.") from error
    if score is None:
        raise UnreadableImageError(f"the score map of {name} was not saved; explain it again, with --save scores.")
    boxes = None if all_boxes is None else _boxes_of(row, all_boxes)
    removes = row.get("game") == "deletion"
    return ExplainedImage(row["path"], preprocess(image, classifier), score, mask, removes, row["target"], boxes)


def _measure_all(
    items: Iterator[ExplainedImage], classifier: Classifier, steps: int, fill: str, batch_size: int
) -> tuple[list[ExplainedImage], dict[str, np.ndarray]]:
    """Measures batch after batch; the last one is filled up, so that all have one size and one compilation.

    Returns:
        The explanations, without their arrays, and for each metric a figure an explanation.
    """
    told: list[ExplainedImage] = []
    found: dict[str, list[np.ndarray]] = {name: [] for name in BETTER}
    nothing = np.zeros(0)
    with tqdm(unit="image", disable=None if sys.stderr.isatty() else True, file=sys.stderr) as bar:
        while batch := list(itertools.islice(items, batch_size)):
            full = batch + [batch[-1]] * (batch_size - len(batch))
            for name, values in measure(classifier, full, steps=steps, fill=fill).items():
                found[name].append(values[: len(batch)])
            told += [dataclasses.replace(item, pixels=nothing, score=nothing, mask=nothing) for item in batch]
            bar.update(len(batch))
    return told, {name: np.concatenate(parts) for name, parts in found.items() if parts}


def _number(value: float) -> float | None:
    """Returns a figure as JSON has it: there is no NaN."""
    return None if np.isnan(value) else round(float(value), 6)
