"""The images of a run: read as the classifier wants them, and written as files and lines once they are explained."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xaijax.atomic_files import sync
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.models.preprocessing import crop_box, preprocess, resized
from xaijax.runtime.input.decode import MAX_PIXELS, UnreadableImageError
from xaijax.runtime.input.sources import Identity, Source
from xaijax.runtime.job import Job, Request
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.packed_shards import pack
from xaijax.runtime.output.result_files import Box, file_stem, kept_box, result_row, write_files

NOBODY = Identity()
"""Of an image that could not be read, and of whose file nothing is known."""


@dataclasses.dataclass(frozen=True)
class Item:
    """An image of a run, read, or the reason why it could not be."""

    index: int
    source: Source
    identity: Identity = NOBODY
    size: tuple[int, int] = (0, 0)
    crop: Box = (0, 0, 0, 0)
    request: Request | None = None
    error: str = ""


def read_item(numbered: tuple[int, Source], classifier: Classifier, targets: Mapping[str, int]) -> Item:
    """Reads a numbered image; what cannot be read is an item with an error."""
    index, source = numbered
    try:
        image, identity = source.read(classifier.channels)
        width, height = image.size if classifier.resize is None else resized(image.size, classifier.resize)
        if width * height > MAX_PIXELS:
            raise UnreadableImageError(
                f"{source.stem} of {image.width}x{image.height} pixels would be one of {width}x{height}; crop it first."
            )
    except (UnreadableImageError, OSError) as error:
        return Item(index, source, source.identify(by_content=False), error=str(error))
    target = None if source.target is None else targets[source.target]
    request = Request(preprocess(image, classifier), target, source.id)
    return Item(index, source, identity, image.size, crop_box(image.size, classifier), request)


def write_items(
    items: list[Item], places: Sequence[int], result: Explanation, job: Job, out: Path, journal: Journal
) -> list[list[dict[str, Any]]]:
    """Writes the files of images that were explained, durably.

    Args:
        items: the images.
        places: of each, among those of the result.
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
    for place, item in zip(places, items, strict=True):
        assert item.request is not None
        lines: list[dict[str, Any]] = []
        rows.append(lines)
        for row in range(place * each, (place + 1) * each):
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
