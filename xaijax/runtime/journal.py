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

from xaijax.runtime.inputs import Identity
from xaijax.runtime.layout import BLOCKS, RESULTS
from xaijax.runtime.whole import sync

WRITTEN = "written"
"""Of a journal's line alone: when it was written, in nanoseconds."""

NUMBERS = ("target", "original_probability", "probability", "area", "cp_score", "evaluations")
"""What a line without an error has, beside words."""

Row = dict[str, Any]


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns a line of JSON a row, in ASCII: a path may hold line separators, or bytes that are no UTF-8."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def is_failure_of_image(row: Mapping[str, Any]) -> bool:
    """Whether a line says that an image has no explanation at all, for whichever class."""
    return "error" in row and "target" not in row


def parse_line(line: bytes) -> Row | None:
    """Returns the row of a line, or None where it holds none: junk, or what names no image or no file name."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        return None
    kinds = {"target": int, "files": str, "sha256": str, "bytes": int, "mtime_ns": int, "shard": int, WRITTEN: int}
    if any(not isinstance(row[name], kind | None) for name, kind in kinds.items() if name in row):
        return None
    return None if "/" in row.get("files", "") or "\\" in row.get("files", "") else row


def read_results(folder: Path) -> Iterator[Row]:
    """Yields the lines of a finished run.

    Raises:
        ValueError: there are none, or one of them is no result.
    """
    try:
        with (folder / RESULTS).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                row = parse_line(line)
                if row is None or not _says_something(row):
                    raise ValueError(
                        f"line {number} of {str(folder / RESULTS)!r} is no result of xaijax; start the same `xaijax "
                        "explain` again, which mends it."
                    )
                yield row
    except OSError as error:
        raise ValueError(f"{str(folder)!r} holds no finished run; run `xaijax explain` to its end first.") from error


def _says_something(row: Row) -> bool:
    if "error" in row:
        return isinstance(row["error"], str)
    words = all(isinstance(row.get(name), str) for name in ("label", "status", "files"))
    return words and all(isinstance(row.get(name), int | float) for name in NUMBERS)


class Place(NamedTuple):
    """Where a line lies."""

    file: int
    offset: int
    failed: bool
    shard: int = -1  # that holds what is packed of it; -1 for none yet


@dataclasses.dataclass(slots=True)
class _Image:
    """What there is of an image: the pixels that it was read as, when its last line was written, and its lines."""

    identity: Identity
    written: int
    places: dict[int | None, Place]


class Journal:
    """The lines of a run, finished or not.

    Args:
        folder: of the run.
        rows_per_image: lines that an explained image has.
        retry_errors: whether the errors that are there now do not count.

    Attributes:
        damaged: files with lines that are none, and how many; their images are explained again.
    """

    def __init__(self, folder: Path, *, rows_per_image: int, retry_errors: bool = False) -> None:
        self._folder = folder
        self._rows_per_image = rows_per_image
        self._files: list[Path] = []
        self._images: dict[str, _Image] = {}
        self._stems: dict[str, str] = {}
        self._mended: set[int] = set()
        self._retry_errors = retry_errors
        self.damaged: dict[Path, int] = {}
        self.scan()
        if retry_errors:
            self._forget_failures()

    def scan(self, *, is_finished: bool = False) -> None:
        """Reads what is there now, by whichever process.

        Args:
            is_finished: whether `results.jsonl` is the run's last word; else its errors do not count where they are to
                be tried again.
        """
        self._files, self._images, self._stems, self.damaged = [], {}, {}, {}
        for file in (self._folder / RESULTS, *sorted((self._folder / BLOCKS).glob("*.jsonl"))):
            try:
                with file.open("rb") as lines:
                    self._scan_lines(file, lines)
            except FileNotFoundError:  # not there yet, or merged by another process since it was listed
                continue
            if self._retry_errors and not is_finished and file.name == RESULTS:
                self._forget_failures()

    def _forget_failures(self) -> None:
        for image in self._images.values():
            for target in [target for target, place in image.places.items() if place.failed]:
                del image.places[target]

    def sentences(self) -> Iterator[str]:
        """Says which files are damaged."""
        for file, count in self.damaged.items():
            yield f"{count} line(s) of {str(file)!r} are no results; their images are explained again."

    def forget(self, paths: Iterable[str]) -> None:
        """Makes images count as not explained, until their lines are read again."""
        for path in paths:
            self._images[path].places.clear()

    def scan_block(self, block: int) -> None:
        """Reads the journal of a block again, to which a process that died since may have written."""
        self._mended.discard(block)
        file = self._file(block)
        with contextlib.suppress(FileNotFoundError), file.open("rb") as lines:
            self._scan_lines(file, lines)

    def _scan_lines(self, file: Path, lines: Iterable[bytes]) -> None:
        self._files.append(file)
        offset = 0
        for line in lines:
            # A line without an end was being written when the process was stopped: its image is explained again.
            if line.endswith(b"\n"):
                row = parse_line(line)
                if row is None:
                    self.damaged[file] = self.damaged.get(file, 0) + 1
                else:
                    self._add_place(row, len(self._files) - 1, offset)
            offset += len(line)

    def _add_place(self, row: Row, file: int, offset: int) -> None:
        identity = Identity(row.get("sha256", ""), row.get("bytes"), row.get("mtime_ns"))
        written = row.get(WRITTEN, 0)
        image = self._images.setdefault(row["path"], _Image(identity, written, {}))
        if not image.identity.is_same(identity):
            if written < image.written:
                return  # of pixels that were replaced since
            image.places.clear()
        places = image.places
        if is_failure_of_image(row):
            if places.keys() <= {None}:
                places[None] = Place(file, offset, True)
                image.identity, image.written = identity, written
            return
        places.pop(None, None)
        places[row.get("target")] = Place(file, offset, "error" in row, row.get("shard", -1))
        image.identity, image.written = identity, written
        if "files" in row:
            self._stems[row["files"]] = row["path"]

    @property
    def paths(self) -> Iterator[str]:
        """The images that there are lines of."""
        return (path for path, image in self._images.items() if image.places)

    def _places(self, path: str) -> Mapping[int | None, Place]:
        image = self._images.get(path)
        return {} if image is None else image.places

    @property
    def shards(self) -> set[int]:
        """Numbers of the shards that lines refer to, but for those that a later line of the same image replaces."""
        found = {place.shard for image in self._images.values() for place in image.places.values()}
        return found - {-1}

    def identity(self, path: str) -> Identity:
        """Returns what an image that there are lines of was read from."""
        return self._images[path].identity

    def is_done(self, path: str) -> bool:
        """Whether all the lines of an image are there."""
        places = self._places(path)
        return None in places or len(places) >= self._rows_per_image

    def targets(self, path: str) -> set[int]:
        """Returns the classes of an image that there are lines of."""
        return {target for target in self._places(path) if target is not None}

    def rows(self, paths: Iterable[str]) -> Iterator[list[Row]]:
        """Yields the lines of each image, in the order in which they were written."""
        opened: BinaryIO | None = None
        number = -1
        try:
            for path in paths:
                found = []
                for file, offset, *_ in sorted(self._places(path).values()):
                    if file != number or opened is None:
                        if opened is not None:
                            opened.close()
                        opened, number = self._files[file].open("rb"), file
                    opened.seek(offset)
                    row = json.loads(opened.readline())
                    row.pop(WRITTEN, None)
                    found.append(row)
                yield found
        finally:
            if opened is not None:
                opened.close()

    def is_explained(self, path: str) -> bool:
        """Whether an image has a line without an error."""
        return any(not place.failed for place in self._places(path).values())

    def failed_lines(self, path: str) -> int:
        """Returns how many lines of an image say an error."""
        return sum(place.failed for place in self._places(path).values())

    def failures(self, paths: Sequence[str], most: int) -> list[tuple[str, str]]:
        """Returns path and reason of the first lines that say an error, `most` of them at most."""
        try:
            failed = self.rows(path for path in paths if self.failed_lines(path))
            told = ((row["path"], row["error"]) for rows in failed for row in rows if "error" in row)
            return list(itertools.islice(told, most))
        except OSError:  # another process has merged the journals
            self.scan(is_finished=True)
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
