"""Verifies earlier explanations of a run: images that were replaced since, and files that are missing."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.identity import Identity
from xaijax.runtime.input.sources import Source
from xaijax.runtime.layout import PACKED
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.packed_shards import shard_path
from xaijax.runtime.output.result_files import files_of
from xaijax.runtime.output.result_lines import Row
from xaijax.runtime.prefetch import prefetch

READERS = 4
"""Threads that check images, which is mostly waiting on a network file system."""

NAMED = 3
"""Images named in a sentence."""


@dataclasses.dataclass(frozen=True)
class Discrepancies:
    """Images whose explanation is not as it was written; changed and lost ones are to be explained again.

    Attributes:
        changed: images whose pixels, or whose ids in the list, are not those that were explained.
        lost: images with a file of their explanation missing, or of another size than it was written with.
        gone: images like the lost ones that are missing themselves, so that their explanation stays as it is.
    """

    changed: list[str]
    lost: list[str]
    gone: list[str]

    def sentences(self) -> Iterator[str]:
        """Yields sentences about the images that are explained again, and why."""
        if self.changed:
            yield f"{_count(self.changed)} not what was explained, and explained again: {_named(self.changed)}."
        if self.lost:
            yield f"{_count(self.lost)} without all files of their explanation, and explained again: " + (
                f"{_named(self.lost)}."
            )
        if self.gone:
            yield f"{_count(self.gone)} gone, and so are files of their explanation, which stays as it is: " + (
                f"{_named(self.gone)}."
            )


def verify(sources: Sequence[Source], journal: Journal, out: Path) -> Discrepancies:
    """Compares images, and the files of their explanations, with what the run has recorded.

    An image whose file has another size or time is read, and has changed if its content has. Images that are missing,
    and URLs, are assumed to be unchanged.

    Args:
        sources: images that are done.
        journal: of the run.
        out: its folder.

    Raises:
        OSError: another process has merged the journal; see `Journal.rows`.
    """
    changed: list[str] = []
    lost: list[str] = []
    gone: list[str] = []
    sizes: dict[Path, int | None] = {}

    def has_changed(source: Source) -> bool:
        return _has_changed(source, journal.identity(source.name))

    changes = prefetch(has_changed, sources, workers=READERS, room=64)
    rows = journal.rows(source.name for source in sources)
    with contextlib.closing(changes):
        for source, is_changed, lines in zip(sources, changes, rows, strict=True):
            if is_changed or any("error" not in line and line.get("id") != source.id for line in lines):
                changed.append(source.name)
            elif not all(_has_files(out, line, sizes) for line in lines):
                (gone if _is_missing(source) else lost).append(source.name)
    return Discrepancies(changed, lost, gone)


def _has_changed(source: Source, recorded: Identity) -> bool:
    """Whether the pixels of an image are not those recorded."""
    now = source.identify(by_content=False)
    recorded_file = recorded.bytes, recorded.mtime_ns
    if None in recorded_file or now.bytes is None or (now.bytes, now.mtime_ns) == recorded_file:
        return False
    try:
        return not recorded.is_same(source.identify(by_content=True))
    except UnreadableImageError:
        return False


def _is_missing(source: Source) -> bool:
    return "://" not in source.name and source.identify(by_content=False).bytes is None


def _has_files(out: Path, line: Row, sizes: dict[Path, int | None]) -> bool:
    """Whether all files of an explanation are there; `sizes` caches those of shards, which hold many explanations."""
    paths = files_of(out, line.get("files", ""))
    for kind, size in line.get("saved", {}).items():
        if kind == PACKED:
            shard = shard_path(out, line["shard"])
            if shard not in sizes:
                sizes[shard] = _size(shard)
            if sizes[shard] != size:
                return False
        elif kind in paths and _size(paths[kind]) != size:
            return False
    return True


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _count(paths: Sequence[str]) -> str:
    return "1 image is" if len(paths) == 1 else f"{len(paths)} images are"


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more
