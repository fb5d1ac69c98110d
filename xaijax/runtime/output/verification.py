"""What a run explained before and cannot vouch for now: images that were replaced, and files that are gone."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.identity import Identity
from xaijax.runtime.input.sources import Source
from xaijax.runtime.layout import PACKED
from xaijax.runtime.output.journal import Journal, Row
from xaijax.runtime.output.packed_shards import shard_path
from xaijax.runtime.output.result_files import files_of
from xaijax.runtime.prefetch import prefetch

READERS = 4
"""Threads that look at images; on a file system of a network that is mostly waiting."""

NAMED = 3
"""Images that a sentence names."""


@dataclasses.dataclass(frozen=True)
class Doubts:
    """Images whose explanation does not hold; the first two are to be explained again.

    Attributes:
        changed: their pixels, or the ids that the list gives them, are not those that were explained.
        lost: a file of their explanation is gone, or is not of the size that it was written with.
        gone: the same, and so is the image itself, so that its explanation stays as it is.
    """

    changed: list[str]
    lost: list[str]
    gone: list[str]

    def sentences(self) -> Iterator[str]:
        """Says what is explained again, and why."""
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


def find_doubts(sources: Sequence[Source], journal: Journal, out: Path) -> Doubts:
    """Looks at the images and the files of a run that has explained them.

    An image whose file has another size or time is read: it has changed if its content has. One that is gone, or a URL,
    is taken on trust.

    Args:
        sources: whose lines are all in the journal.
        journal: of the run.
        out: its folder.

    Raises:
        OSError: another process has merged the journal meanwhile; see `Journal.rows`.
    """
    changed: list[str] = []
    lost: list[str] = []
    gone: list[str] = []
    sizes: dict[Path, int | None] = {}

    def has_changed(source: Source) -> bool:
        return _has_changed(source, journal.identity(source.name))

    looks = prefetch(has_changed, sources, workers=READERS, room=64)
    rows = journal.rows(source.name for source in sources)
    with contextlib.closing(looks):
        for source, is_changed, lines in zip(sources, looks, rows, strict=True):
            if is_changed or any("error" not in line and line.get("id") != source.id for line in lines):
                changed.append(source.name)
            elif not all(_has_files(out, line, sizes) for line in lines):
                (gone if _is_missing(source) else lost).append(source.name)
    return Doubts(changed, lost, gone)


def _has_changed(source: Source, then: Identity) -> bool:
    now = source.identify(by_content=False)
    told = then.bytes, then.mtime_ns
    if None in told or now.bytes is None or (now.bytes, now.mtime_ns) == told:
        return False
    try:
        return not then.is_same(source.identify(by_content=True))
    except UnreadableImageError:
        return False


def _is_missing(source: Source) -> bool:
    return "://" not in source.name and source.identify(by_content=False).bytes is None


def _has_files(out: Path, line: Row, sizes: dict[Path, int | None]) -> bool:
    """Whether all files of an explanation are there; `sizes` are those of shards, which hold many."""
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
