"""One explanation in the folder of a run: its line of `results.jsonl`, its files, and its picture.

`masks/*.png` are 1-bit masks, `scores/*.npy` score maps, `overlays/*.png` pictures of both, `full-size/*.jpg` the
photograph itself with its mask. For very many images see `packed_shards.py`.
"""

import functools
import math
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xaijax.atomic_files import write_array, write_mask, write_picture
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation
from xaijax.models.preprocessing import Box
from xaijax.report.captions import figures, shown, title
from xaijax.report.pictures import full_size_overlay, panel
from xaijax.runtime.layout import SUFFIXES, Save
from xaijax.runtime.output.packed_shards import read_shard, unpack

LONGEST = 120
"""Bytes of an image's name that are kept in the names of its files."""

JPEG_SIDE = 65_500
"""Largest side of a JPEG in pixels."""


def result_row(
    result: Explanation, index: int, classifier: Classifier, fills: Sequence[str] | None = None
) -> dict[str, Any]:
    """Returns the figures of one row of an explanation for its line in `results.jsonl`.

    Args:
        result: explanations of a batch.
        index: row of the result.
        classifier: knows the labels.
        fills: names of the fills of `Explanation.probability_by_fill`; where there are several, the line has
            `probability_by_fill`, without those under which the mask was not evaluated.
    """
    target = int(result.target[index])
    numbers = {
        name: round(float(getattr(result, name)[index]), 6)
        for name in ("original_probability", "probability", "area", "cp_score")
    }
    by_fill: dict[str, Any] = {}
    if fills is not None and len(fills) > 1 and result.probability_by_fill is not None:
        under = dict(zip(fills, map(float, result.probability_by_fill[index]), strict=True))
        by_fill["probability_by_fill"] = {name: round(each, 6) for name, each in under.items() if not math.isnan(each)}
    counts = {name: int(getattr(result, name)[index]) for name in ("evaluations", "generations")}
    named = {"target": target, "label": classifier.label(target)}
    against = int(result.against[index])
    if against >= 0:
        named |= {"against": against, "against_label": classifier.label(against)}
    return {**named, **numbers, **by_fill, **counts, "status": result.status_message(index)}


def kept_box(mask: np.ndarray, crop: Box, size: tuple[int, int]) -> Box | None:
    """Returns the smallest box of the photograph that holds all kept pixels.

    Args:
        mask: `[H, W]` bool.
        crop: the part of the photograph that the mask is of.
        size: width and height of the photograph.

    Returns:
        The box, or None if no pixel of the photograph is kept.
    """
    ranges = []
    for axis, length, most in zip((0, 1), mask.shape[::-1], size, strict=True):
        kept = np.flatnonzero(mask.any(axis=axis))
        if not len(kept):
            return None
        start, scale = crop[axis], (crop[axis + 2] - crop[axis]) / length
        low, high = math.floor(start + kept[0] * scale), math.ceil(start + (kept[-1] + 1) * scale)
        ranges.append((min(max(low, 0), most), min(max(high, 0), most)))
    (left, right), (top, bottom) = ranges
    return (left, top, right, bottom) if left < right and top < bottom else None


def write_files(
    out: Path,
    stem: str,
    pixels: np.ndarray,
    result: Explanation,
    index: int,
    row: dict[str, Any],
    save: Sequence[Save],
    photograph: Callable[[], Image.Image] | None = None,
) -> dict[Save, Path]:
    """Writes the files of one explanation, and returns their paths by kind.

    Args:
        out: folder of the run.
        stem: of the files' names.
        pixels: `[H, W, C]` uint8, the crop that was explained.
        result: explanations of a batch.
        index: row of the result.
        row: its line.
        save: the kinds of files to write.
        photograph: reads the image again at its full size; None if it is not on disk.
    """
    mask, score = np.asarray(result.mask[index]), np.asarray(result.score[index])
    paths = files_of(out, stem)
    written = {kind: paths[kind] for kind in paths if kind in save and (kind != "full-size" or photograph is not None)}
    if "masks" in save:
        write_mask(paths["masks"], mask)
    if "scores" in save:
        write_array(paths["scores"], score)
    if "overlays" in save:
        std = None if result.score_std is None else np.asarray(result.score_std[index])
        write_picture(paths["overlays"], draw(pixels, mask, score, row, std))
    if "full-size" in save and photograph is not None:
        picture = full_size_overlay(photograph(), mask, row["crop"])
        picture.thumbnail((JPEG_SIDE, JPEG_SIDE))  # where it is larger
        write_picture(paths["full-size"], picture)
    return written


def files_of(out: Path, stem: str) -> dict[Save, Path]:
    """Returns the paths of the files that an explanation may have in the folder of a run, by kind."""
    return {kind: out / kind / f"{stem}{suffix}" for kind, suffix in SUFFIXES.items()}


def read_arrays(folder: Path, row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads the mask `[H, W]` bool and the score map `[H, W]` float32 of a line; the latter is None if not saved.

    Raises:
        OSError, ValueError, KeyError: the run did not save the mask, or its file is damaged.
    """
    try:
        return _read_arrays(folder, row)
    except (EOFError, zlib.error, TypeError, IndexError) as error:
        raise ValueError(f"a file of {row['files']!r} is damaged ({error})") from error


def _read_arrays(folder: Path, row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    paths = files_of(folder, row["files"])
    if paths["masks"].exists():
        with Image.open(paths["masks"]) as picture:
            mask = np.asarray(picture.convert("1"))
        scores = paths["scores"]
        if scores.exists() or "shard" not in row:
            return mask, np.load(scores) if scores.exists() else None
    return unpack(_shard(folder, row["shard"])[row["path"], row["target"]])


_shard = functools.lru_cache(maxsize=1)(read_shard)


def draw(
    pixels: np.ndarray, mask: np.ndarray, score: np.ndarray, row: dict[str, Any], std: np.ndarray | None = None
) -> Image.Image:
    """Draws one explanation with its figures; see `panel`."""
    return panel(pixels, mask, score, std, title=title(row), figures=figures(row), shown=shown(row))


def file_stem(index: int, name: str) -> str:
    """Returns the stem of an image's files: its index in the input, and its own name, shortened if very long."""
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) > LONGEST:
        name = encoded[:LONGEST].decode(errors="ignore")
    return f"{index:06d}_{name}"
