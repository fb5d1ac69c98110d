"""What a run has explained so far: a journal for each block of the input, appended to, and read back by image.

The lines stay on disk; in memory is where each of them lies, and which pixels it is of. Several processes write to one
folder, each to the journals of its own blocks.
"""

import contextlib
import dataclasses
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from xaijax.atomic_files import sync
from xaijax.runtime.input.identity import Identity
from xaijax.runtime.layout import BLOCKS, PACKED, RESULTS

WRITTEN = "written"
"""Of a journal's line alone: when it was written, in nanoseconds."""

AGAIN = "again"
"""Of a journal's line alone: that what is known of an image does not count any more."""

NUMBERS = ("target", "original_probability", "probability", "area", "cp_score", "evaluations")
WORDS = ("label", "status", "files")
"""What a line without an error has."""

KINDS: dict[str, type] = {
    **{"target": int, "label": str, "status": str, "error": str, "files": str, "saved": dict, "shard": int},
    **{"sha256": str, "bytes": int, "mtime_ns": int, WRITTEN: int},
}
"""Of what kind the parts of a line are, where they are there."""

Row = dict[str, Any]


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns a line of JSON a row, in ASCII: a path may hold line separators, or bytes that are no UTF-8."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def is_failure_of_image(row: Mapping[str, Any]) -> bool:
    """Whether a line says that an image has no explanation at all, for whichever class."""
    return "error" in row and "target" not in row


def parse_line(line: bytes) -> Row | None:
    """Returns what a line says: a result, an error, or that an image is explained again; None where it says nothing."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        return None
    if any(not isinstance(row[name], kind) for name, kind in KINDS.items() if name in row):
        return None
    if AGAIN in row or "error" in row:
        return row
    is_result = all(_is_number(row.get(name)) for name in NUMBERS) and all(name in row for name in WORDS)
    return row if is_result and _has_names(row) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not abs(value) > 1e300


def _has_names(row: Row) -> bool:
    """Whether a result names files as a run does, each with its size."""
    stem, saved = row["files"], row.get("saved", {})
    is_stem = not set("/\\\0") & set(stem) and len(stem.encode(errors="replace")) < 250
    is_shelved = PACKED not in saved or row.get("shard", -1) >= 0
    return is_stem and is_shelved and all(isinstance(size, int) for size in saved.values())


def read_results(folder: Path) -> Iterator[Row]:
    """Yields the lines of a finished run.

    Raises:
        ValueError: there are none, or one of them is no result.
    """
    try:
        with (folder / RESULTS).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                row = parse_line(line)
                if row is None or AGAIN in row:
                    raise ValueError(
                        f"line {number} of {str(folder / RESULTS)!r} is no result of xaijax; start the same `xaijax "
                        "explain` again, which mends it."
                    )
                yield row
    except OSError as error:
        raise ValueError(f"{str(folder)!r} holds no finished run; run `xaijax explain` to its end first.") from error


class MovedError(OSError):
    """A file is not the one any more whose lines were read."""


class Line(NamedTuple):
    """Where a line lies."""

    file: int
    offset: int
    failed: bool
    shard: int = -1  # that holds what is packed of it; -1 for none yet


@dataclasses.dataclass(slots=True)
class _Image:
    """What there is of an image: the pixels that it was read as, its lines, and of the last of them where and when."""

    identity: Identity
    file: int
    written: int
    lines: dict[int | None, Line]
    is_again: bool = False


class Journal:
    """The lines of a run, finished or not.

    Args:
        folder: of the run.
        rows_per_image: lines that an explained image has.

    Attributes:
        damaged: files with lines that say nothing, and how many.

    Raises:
        ValueError: a file of it cannot be read.
    """

    def __init__(self, folder: Path, *, rows_per_image: int) -> None:
        self._folder = folder
        self._rows_per_image = rows_per_image
        self._files: list[Path] = []
        self._images: dict[str, _Image] = {}
        self._stems: dict[str, str] = {}
        self._mended: set[int] = set()
        self.damaged: dict[Path, int] = {}
        self.scan()

    def scan(self) -> None:
        """Reads what is there now, by whichever process."""
        while not self._scan():
            pass

    def _scan(self) -> bool:
        """Reads all files, and returns whether they were those of one moment: another process may merge them."""
        self._files, self._images, self._stems, self.damaged = [], {}, {}, {}
        journals = sorted((self._folder / BLOCKS).glob("*.jsonl"))
        for file in (self._folder / RESULTS, *journals):
            try:
                with file.open("rb") as lines:
                    self._scan_lines(file, lines)
            except FileNotFoundError:
                if file in journals:
                    return False
            except OSError as error:
                raise ValueError(f"{str(file)!r} cannot be read ({error.strerror}); mend that first.") from error
        return True

    def sentences(self) -> Iterator[str]:
        """Says which files are damaged."""
        for file, count in self.damaged.items():
            yield f"{count} line(s) of {str(file)!r} are no results, and dropped; listed images are explained again."

    def mark(self, block: int, paths: Sequence[str]) -> None:
        """Makes images count as not explained, durably and for all processes, until later lines say what they are."""
        self.add(block, [{"path": path, AGAIN: True} for path in paths])
        for path in paths:
            self._images[path].lines.clear()

    def scan_block(self, block: int) -> None:
        """Reads the journal of a block again, to which a process that died since may have written."""
        self._mended.discard(block)
        file = self._file(block)
        with contextlib.suppress(FileNotFoundError), file.open("rb") as lines:
            self._scan_lines(file, lines)

    def _scan_lines(self, file: Path, lines: Iterable[bytes]) -> None:
        if file not in self._files:
            self._files.append(file)
        number = self._files.index(file)
        offset = 0
        for line in lines:
            # A line without an end was being written when the process was stopped: its image is explained again.
            if line.endswith(b"\n"):
                row = parse_line(line)
                if row is None:
                    self.damaged[file] = self.damaged.get(file, 0) + 1
                else:
                    self._add_line(row, number, offset)
            offset += len(line)

    def _add_line(self, row: Row, file: int, offset: int) -> None:
        """Adds a line: within a file the later one counts, among files the one that was written later."""
        identity = Identity(row.get("sha256", ""), row.get("bytes"), row.get("mtime_ns"))
        written = row.get(WRITTEN, 0)
        image = self._images.setdefault(row["path"], _Image(identity, file, written, {}))
        is_earlier = file != image.file and written < image.written
        is_same = AGAIN not in row and image.identity.is_same(identity)
        if is_earlier and (image.is_again or not is_same):
            return
        lines = image.lines
        if not is_same:
            lines.clear()
        if AGAIN in row:
            image.file, image.written, image.is_again = file, written, True
            return
        if not is_failure_of_image(row):
            lines.pop(None, None)
            lines[row.get("target")] = Line(file, offset, "error" in row, row.get("shard", -1))
        elif len(lines) < self._rows_per_image:
            lines.clear()
            lines[None] = Line(file, offset, True)
        else:
            return  # an explanation stands, whatever became of its image
        if not is_earlier:
            image.identity, image.file, image.written = identity, file, written
        if "files" in row:
            self._stems[row["files"]] = row["path"]

    @property
    def paths(self) -> Iterator[str]:
        """The images that there are lines of."""
        return (path for path, image in self._images.items() if image.lines)

    def _lines(self, path: str) -> Mapping[int | None, Line]:
        image = self._images.get(path)
        return {} if image is None else image.lines

    @property
    def shards(self) -> set[int]:
        """Numbers of the shards that lines refer to, but for those that a later line of the same image replaces."""
        found = {line.shard for image in self._images.values() for line in image.lines.values()}
        return found - {-1}

    def identity(self, path: str) -> Identity:
        """Returns what an image that there are lines of was read from."""
        return self._images[path].identity

    def is_done(self, path: str) -> bool:
        """Whether all the lines of an image are there."""
        lines = self._lines(path)
        return None in lines or len(lines) >= self._rows_per_image

    def targets(self, path: str) -> set[int]:
        """Returns the classes of an image that there are lines of."""
        return {target for target in self._lines(path) if target is not None}

    def rows(self, paths: Iterable[str]) -> Iterator[list[Row]]:
        """Yields the lines of each image, in the order in which they were written.

        Raises:
            OSError: another process has merged the files since they were read; see `scan`.
        """
        opened: BinaryIO | None = None
        number = -1
        try:
            for path in paths:
                found = []
                for file, offset, *_ in sorted(self._lines(path).values()):
                    if file != number or opened is None:
                        if opened is not None:
                            opened.close()
                        opened, number = self._files[file].open("rb"), file
                    opened.seek(offset)
                    row = parse_line(opened.readline())
                    if row is None or row["path"] != path:
                        raise MovedError(f"{self._files[file].name} is another file than it was.")
                    row.pop(WRITTEN, None)
                    found.append(row)
                yield found
        finally:
            if opened is not None:
                opened.close()

    def is_explained(self, path: str) -> bool:
        """Whether an image has a line without an error."""
        return any(not line.failed for line in self._lines(path).values())

    def failed_lines(self, path: str) -> int:
        """Returns how many lines of an image say an error."""
        return sum(line.failed for line in self._lines(path).values())

    def failures(self, paths: Sequence[str], most: int) -> list[tuple[str, str]]:
        """Returns path and reason of the first lines that say an error, `most` of them at most."""
        try:
            failed = self.rows(path for path in paths if self.failed_lines(path))
            told = ((row["path"], row["error"]) for rows in failed for row in rows if "error" in row)
            return list(itertools.islice(told, most))
        except OSError:  # another process has merged the journals
            self.scan()
            return self.failures(paths, most)

    def is_taken(self, stem: str, path: str) -> bool:
        """Whether files of this name belong to another image: the list of images has changed since."""
        return self._stems.get(stem, path) != path

    def add(self, block: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends lines to the journal of a block, durably; the files that they speak of are synced before."""
        file = self._file(block)
        file.parent.mkdir(exist_ok=True)
        with file.open("ab") as journal:
            if block not in self._mended:
                self._drop_torn_line(file)
                self._mended.add(block)
            journal.write(json_lines({**row, WRITTEN: time.time_ns()} for row in rows))
        sync([file])

    def _file(self, block: int) -> Path:
        return self._folder / BLOCKS / f"{block:06d}.jsonl"

    @staticmethod
    def _drop_torn_line(file: Path) -> None:
        content = file.read_bytes()
        if not content.endswith(b"\n"):
            with file.open("rb+") as journal:
                journal.truncate(content.rfind(b"\n") + 1)
