"""A finished run as the metrics read it: its settings, its explanations with their images, and boxes beside them."""

import csv
import functools
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xaijax.classifier import Classifier
from xaijax.metrics.suite import ExplainedImage
from xaijax.models.preprocessing import preprocess
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_source
from xaijax.runtime.layout import PACKED
from xaijax.runtime.output.record import read_record
from xaijax.runtime.output.result_files import read_arrays
from xaijax.runtime.output.result_lines import Row, read_results


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
        with path.open(newline="", encoding="utf-8-sig") as file:
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
        x0, y0, x1, y1 = box
        if not (np.isfinite(box).all() and x0 < x1 and y0 < y1):
            raise ValueError(
                f"line {number} of {str(path)!r} is no box: {x0:g},{y0:g},{x1:g},{y1:g}; x0 must be below x1, and y0 "
                "below y1."
            )
        found.setdefault(name, []).append(box)
    return {name: np.array(boxes) for name, boxes in found.items()}


def boxes_of(row: dict[str, Any], all_boxes: dict[str, np.ndarray]) -> np.ndarray | None:
    """Returns the boxes of an explanation's image, which go by its path or its name; None where there are none."""
    return all_boxes.get(row["path"], all_boxes.get(Path(row["path"]).name))


def read_explanations(
    folder: Path,
    base: Path | None,
    rows: list[dict[str, Any]],
    classifier: Classifier,
    all_boxes: dict[str, np.ndarray] | None,
    skipped: list[tuple[str, str]],
    *,
    elsewhere: bool = False,
) -> Iterator[ExplainedImage]:
    """Yields the explanations of a run one after another, and writes to `skipped` why one is left out.

    Args:
        folder: of the run.
        base: that the names of its images are relative to; None where they are absolute.
        rows: of its results.
        classifier: as which it wants its images.
        all_boxes: of images by their names, or None.
        skipped: is added to.
        elsewhere: whether each comes with another photograph of the run.
    """
    read = functools.lru_cache(maxsize=4)(lambda index: _read_pixels(base, rows[index], classifier))
    others = other_photographs(rows) if elsewhere else [[] for _ in rows]
    for index, row in enumerate(rows):
        try:
            _check_explained(row)
            pixels = read(index)
            yield _read(folder, row, pixels, all_boxes, _first_readable(read, others[index]))
        except UnreadableImageError as error:
            skipped.append((row["path"], str(error)))


def other_photographs(rows: Sequence[Row], count: int = 4) -> list[list[int]]:
    """Returns for each row the indices of up to `count` rows that show another photograph, the preferred one first.

    These are the rows that follow, after the last the first again, of another class where the run has one, as what
    stands around a mask should not show the class itself.
    """
    explained = [index for index, row in enumerate(rows) if "error" not in row]
    targets, images = ([rows[index].get(name) for index in explained] for name in ("target", "sha256"))
    of_class, of_image = _next_other(targets), _next_other(images)
    found: list[list[int]] = [[] for _ in rows]
    for place, index in enumerate(explained):
        following = of_class[place] if of_class[place] is not None else of_image[place]
        turn = 0
        while following is not None and len(found[index]) < count and turn < 4 * count and turn < len(explained):
            other = (following + turn) % len(explained)
            is_alike = of_class[place] is not None and targets[other] == targets[place]
            if images[other] != images[place] and not is_alike:
                found[index].append(explained[other])
            turn += 1
    return found


def _next_other(keys: Sequence[Hashable]) -> list[int | None]:
    """Returns for each key the index of the next other one, after the last from the first on; None if all are alike."""
    count = len(keys)
    found: list[int | None] = [None] * count
    for _ in range(2):  # the second time round, the last ones know of the first
        for index in reversed(range(count)):
            following = (index + 1) % count
            found[index] = following if keys[following] != keys[index] else found[following]
    return found


def _first_readable(read: Any, indices: Sequence[int]) -> np.ndarray | None:
    for index in indices:
        try:
            pixels: np.ndarray = read(index)
            return pixels
        except UnreadableImageError:
            continue
    return None


def _check_explained(row: Row) -> None:
    if "error" in row:
        raise UnreadableImageError(f"it was not explained: {row['error']}")
    if "against" in row:
        raise UnreadableImageError(
            f"it tells {row['label']} from {row['against_label']}, and metrics are about a class against all others; "
            "explain without --against."
        )


def _read_pixels(base: Path | None, row: Row, classifier: Classifier) -> np.ndarray:
    """Reads the image of a line of the results; raises UnreadableImageError where it is not what was explained."""
    source = find_source(row["path"], base)
    name = Path(source.name).name
    if "://" not in source.container and not Path(source.container).exists():
        raise UnreadableImageError(f"{name} is no longer at {source.container!r}; move it back.")
    image, identity = source.read(classifier.channels)
    if identity.sha256 != row.get("sha256"):
        raise UnreadableImageError(f"{name} has changed since it was explained; explain it again.")
    return preprocess(image, classifier)


def _read(
    folder: Path,
    row: Row,
    pixels: np.ndarray,
    all_boxes: dict[str, np.ndarray] | None,
    elsewhere: np.ndarray | None,
) -> ExplainedImage:
    """Reads what belongs to a line of the results; raises UnreadableImageError where something is not there."""
    name = Path(row["path"]).name
    try:
        mask, score = read_arrays(folder, row)
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableImageError(f"the mask or score map of {name} cannot be read; explain it again.") from error
    if score is None:
        raise UnreadableImageError(f"the score map of {name} was not saved; explain it again, with --save scores.")
    boxes = None if all_boxes is None else boxes_of(row, all_boxes)
    removes = row.get("game") == "deletion"
    return ExplainedImage(row["path"], pixels, score, mask, removes, row["target"], boxes, elsewhere)
