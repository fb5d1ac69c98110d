"""Writes the results of explained images, as files and as lines."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xaijax.atomic_files import sync
from xaijax.explanation import Explanation, Status
from xaijax.masks.fills import split_fill
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.identity import Identity
from xaijax.runtime.input.reader import Item
from xaijax.runtime.job import Job
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.packed_shards import pack
from xaijax.runtime.output.result_files import file_stem, kept_box, result_row, write_files


def write_items(
    items: list[Item], slots: Sequence[int], result: Explanation, job: Job, out: Path, journal: Journal
) -> list[list[dict[str, Any]]]:
    """Writes the files of images that were explained, durably.

    Args:
        items: the images.
        slots: the slot of each in the result.
        result: of a batch, in the host's memory.
        job: what was explained, and how.
        out: the folder of the run.
        journal: of the run.

    Returns:
        The lines of each image.
    """
    lines_of_images = []
    written: list[Path] = []
    for slot, item in zip(slots, items, strict=True):
        lines = []
        for number in range(job.rows_per_image):
            line, files = _write_row(item, number, result, slot * job.rows_per_image + number, job, out, journal)
            lines.append(line)
            written += files
        lines_of_images.append(lines)
    sync(written)
    return lines_of_images


def _write_row(
    item: Item, number: int, result: Explanation, row: int, job: Job, out: Path, journal: Journal
) -> tuple[dict[str, Any], Sequence[Path]]:
    """Writes the files of one explanation, and returns its line and their paths.

    Args:
        item: the image.
        number: of the class among those explained of the image.
        result: of a batch, in the host's memory.
        row: of the result.
        job: what was explained, and how.
        out: the folder of the run.
        journal: of the run.
    """
    assert item.request is not None
    fill = getattr(job.method, "fill", None)
    figures = result_row(result, row, job.classifier, None if fill is None else split_fill(fill))
    if getattr(job.method, "game", "preservation") == "deletion":
        figures["game"] = "deletion"
    error = ""
    if figures["target"] == int(result.against[row]) >= 0:
        error = "The class explained is also the one to contrast it with; name another."
    elif Status(int(result.status[row])).is_failure:
        error = figures["status"]
    if error:
        target = {"target": figures["target"]} if job.rows_per_image > 1 else {}
        return failure_line(item, job.seed, error) | target, []
    stem = file_stem(item.index * job.rows_per_image + number, item.source.stem)
    while journal.is_taken(stem, item.source.name):
        stem = f"{stem}_{item.identity.sha256[:8]}"
    box = kept_box(np.asarray(result.mask[row]), item.crop, item.size)
    geometry = {"size": item.size, "crop": item.crop, "box": box}
    own_id = {} if item.source.id is None else {"id": item.source.id}
    identity = _known_fields(item.identity)
    line = {"path": item.source.name, **identity, **own_id, **geometry, **figures, "seed": job.seed}
    if job.versions:
        line["versions"] = job.versions
    read = functools.partial(_read_again, item, job.classifier.channels)
    try:
        files = write_files(out, stem, item.request.pixels, result, row, line, job.save, read)
    except UnreadableImageError as unreadable:
        return failure_line(item, job.seed, f"It was explained, but cannot be read again: {unreadable}"), []
    saved = {kind: path.stat().st_size for kind, path in files.items()}
    packed = {"packed": pack(result, row)} if "packed" in job.save else {}
    return line | {"files": stem, "saved": saved} | packed, list(files.values())


def _read_again(item: Item, channels: int) -> Image.Image:
    image, identity = item.source.read(channels)
    if identity.sha256 != item.identity.sha256:
        raise UnreadableImageError(f"{item.source.stem} has changed since; start the command again.")
    return image


def failure_line(item: Item, seed: int, error: str) -> dict[str, Any]:
    """Returns the line of an image that has no explanation."""
    return {"path": item.source.name, **_known_fields(item.identity), "seed": seed, "error": error}


def _known_fields(identity: Identity) -> dict[str, Any]:
    """Returns the fields of an identity that are known, for a line."""
    return {name: value for name, value in dataclasses.asdict(identity).items() if value not in ("", None)}
