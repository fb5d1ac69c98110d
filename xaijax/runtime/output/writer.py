"""Writes what was found of the images of a run, as files and lines."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xaijax.atomic_files import sync
from xaijax.explanation import Explanation, Status
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
        slots: of each, among those of the result.
        result: of a batch, in the host's memory.
        job: what was asked.
        out: the folder of the run.
        journal: of the run.

    Returns:
        The lines of each image.
    """
    rows = []
    written: list[Path] = []
    each = job.rows_per_image
    for slot, item in zip(slots, items, strict=True):
        assert item.request is not None
        lines: list[dict[str, Any]] = []
        rows.append(lines)
        for row in range(slot * each, (slot + 1) * each):
            found = result_row(result, row, job.classifier)
            if getattr(job.method, "game", "preservation") == "deletion":
                found["game"] = "deletion"
            if found["target"] == int(result.against[row]) >= 0:
                found["error"] = "The class explained is the one that it was to be told from; name another."
            elif Status(int(result.status[row])).is_failure:
                found["error"] = found["status"]
            if "error" in found:
                told = {"target": found["target"]} if each > 1 else {}
                lines.append(failure_line(item, job.seed, found["error"]) | told)
                continue
            stem = file_stem(item.index * each + row % each, item.source.stem)
            while journal.is_taken(stem, item.source.name):
                stem = f"{stem}_{item.identity.sha256[:8]}"
            box = kept_box(np.asarray(result.mask[row]), item.crop, item.size)
            where = {"size": item.size, "crop": item.crop, "box": box}
            own = {} if item.source.id is None else {"id": item.source.id}
            line = {"path": item.source.name, **_told(item.identity), **own, **where, **found, "seed": job.seed}
            read = functools.partial(_read_again, item, job.classifier.channels)
            try:
                files = write_files(out, stem, item.request.pixels, result, row, line, job.save, read)
            except UnreadableImageError as error:
                lines.append(failure_line(item, job.seed, f"It was explained, but cannot be read again: {error}"))
                continue
            written += files.values()
            saved = {kind: path.stat().st_size for kind, path in files.items()}
            packed = {"packed": pack(result, row)} if "packed" in job.save else {}
            lines.append(line | {"files": stem, "saved": saved} | packed)
    sync(written)
    return rows


def _read_again(item: Item, channels: int) -> Image.Image:
    image, identity = item.source.read(channels)
    if identity.sha256 != item.identity.sha256:
        raise UnreadableImageError(f"{item.source.stem} has changed since; start the command again.")
    return image


def failure_line(item: Item, seed: int, error: str) -> dict[str, Any]:
    """Returns the line of an image that has no explanation."""
    return {"path": item.source.name, **_told(item.identity), "seed": seed, "error": error}


def _told(identity: Identity) -> dict[str, Any]:
    """Returns what a line says of the pixels that it is about, as far as that is known."""
    return {name: value for name, value in dataclasses.asdict(identity).items() if value not in ("", None)}
