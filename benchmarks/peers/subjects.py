"""The photographs, with the object where the folder says where it is: `imagenet_val_boxes` and `davis_masks` do."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from PIL import Image

import xaijax
from benchmarks.common.photographs import choose_photographs, followers, read_photographs
from benchmarks.peers.contest import Subject
from benchmarks.peers.options import Options
from xaijax.classifier import to_unit_range
from xaijax.masks.fills import make_plain_fills
from xaijax.metrics import masks_of_boxes

Read = Callable[[], tuple[np.ndarray, np.ndarray | None, set[int]]]
"""Reads the pixels of a photograph, its object, and the classes that name the object."""

Found = tuple[str, Read, Read]
"""The name of a photograph, how to read it, and how to read the one that follows in its folder."""


def subjects(classifier: xaijax.Classifier, options: Options) -> list[Subject]:
    """Returns the photographs, as many of each input and in turn, so that the first few are of all inputs."""
    shares = [len(part) for part in np.array_split(np.arange(options.count), len(options.images))]
    found = [_listed(path, share, classifier) for path, share in zip(options.images, shares, strict=True)]
    turns = [item for turn in range(max(shares)) for own in found for item in own[turn : turn + 1]]
    return [_subject(*item, classifier, options) for item in turns]


def _listed(path: Path, count: int, classifier: xaijax.Classifier) -> list[Found]:
    if (path / "boxes.csv").exists():
        rows = _table(path / "boxes.csv")
        return _followed({row["image"]: _with_box(path, row) for row in rows}, _spaced(rows, count))
    if (path / "davis_masks.csv").exists():
        # A sequence of frames shows one object: one frame of each before a second of any.
        rows = _table(path / "davis_masks.csv")
        first = list({row["sequence"]: row for row in reversed(rows)}.values())[::-1]
        rest = [row for row in rows if row not in first]
        # What follows shows another object: the first frames come one after the other, then the second ones.
        reads = {row["image"]: _with_mask(path, row, classifier) for row in first + rest}
        return _followed(reads, _spaced(first, count) + _spaced(rest, count - len(first)))
    paths = followers([path])
    reads = {each.name: _plain(each, classifier) for each in paths}
    return _followed(reads, [{"image": each.name} for each in choose_photographs([path], count)])


def _followed(reads: Mapping[str, Read], chosen: Sequence[Mapping[str, str]]) -> list[Found]:
    names = list(reads)
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    return [(row["image"], reads[row["image"]], reads[following[row["image"]]]) for row in chosen]


def _plain(path: Path, classifier: xaijax.Classifier) -> Read:
    return lambda: (read_photographs([path], classifier)[0], None, set())


def _with_box(folder: Path, row: dict[str, str]) -> Read:
    def read() -> tuple[np.ndarray, np.ndarray, set[int]]:
        pixels = np.asarray(Image.open(folder / row["image"]).convert("RGB"))[1:225, 1:225]
        box = [float(row[f"{name}_224"]) for name in ("x1", "y1", "x2", "y2")]
        return pixels, masks_of_boxes([box], *pixels.shape[:2])[0], {int(row["label"])}

    return read


def _with_mask(folder: Path, row: dict[str, str], classifier: xaijax.Classifier) -> Read:
    def read() -> tuple[np.ndarray, np.ndarray, set[int]]:
        left, top, side = (int(row[name]) for name in ("crop_x0", "crop_y0", "crop_size"))
        size, box = classifier.input_size[::-1], (left, top, left + side, top + side)
        photograph = Image.open(folder / row["image"]).convert("RGB").crop(box)
        mask = Image.open(folder / row["mask"]).convert("L").crop(box)
        shown = photograph.resize(size, Image.Resampling.BILINEAR), mask.resize(size, Image.Resampling.NEAREST)
        return np.asarray(shown[0]), np.asarray(shown[1]) > 0, _classes(row["accepted_classes"])

    return read


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _classes(text: str) -> set[int]:
    """Returns the classes of a list such as "436 468" or of a range such as "151-268"."""
    ranges = [[int(end) for end in part.split("-")] for part in text.split()]
    return {number for ends in ranges for number in range(ends[0], ends[-1] + 1)}


def _spaced(rows: Sequence[dict[str, str]], count: int) -> list[dict[str, str]]:
    places = np.linspace(0, len(rows) - 1, max(0, min(count, len(rows)))).round().astype(int)
    return [rows[place] for place in places]


def _subject(name: str, read: Read, read_following: Read, classifier: xaijax.Classifier, options: Options) -> Subject:
    """Completes a photograph with what every contestant is given, from the cheapest explanation over segments."""
    pixels, seen, classes = read()
    method = xaijax.LIME(evaluations=8, segmentation=options.segmentation)
    result = jax.device_get(xaijax.explain(jax.random.key(options.seed), classifier, pixels[None], method=method))
    blurred = make_plain_fills("blur", to_unit_range(pixels[None]), mean=classifier.mean)
    return Subject(
        name=name,
        pixels=pixels,
        target=int(result.target[0]),
        probability=float(result.original_probability[0]),
        segments=result.segments[0],
        blurred=np.asarray(blurred)[0],
        elsewhere=read_following()[0],
        object=seen if int(result.target[0]) in classes else None,
    )
