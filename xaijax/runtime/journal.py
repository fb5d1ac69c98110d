"""What a run has explained so far: a journal a block of the input, appended to, and read back by the image's path.

The lines stay on disk; in memory is where each of them lies. Several processes write to one folder, each to the
journals of its own blocks.
"""

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

RESULTS, BLOCKS = "results.jsonl", "blocks"

Row = dict[str, Any]


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns a line of JSON a row, in ASCII: a path may hold line separators, or bytes that are no UTF-8."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def is_failure_of_image(row: Mapping[str, Any]) -> bool:
    """Whether a line says that an image has no explanation at all, for whichever class."""
    return "error" in row and "target" not in row


class Place(NamedTuple):
    """Where a line lies."""

    file: int
    offset: int
    failed: bool


class Journal:
    """The lines of a run, finished or not.

    Args:
        folder: of the run.
        rows_per_image: lines that an explained image has.
        retry_errors: whether the errors that are there now do not count.
    """

    def __init__(self, folder: Path, *, rows_per_image: int, retry_errors: bool = False) -> None:
        self._folder = folder
        self._rows_per_image = rows_per_image
        self._files: list[Path] = []
        self._places: dict[str, dict[int | None, Place]] = {}
        self._stems: dict[str, str] = {}
        self._mended: set[int] = set()
        self._retry_errors = retry_errors
        self.scan()
        if retry_errors:
            self._forget_failures()

    def scan(self, *, is_finished: bool = False) -> None:
        """Reads what is there now, by whichever process.

        Args:
            is_finished: whether `results.jsonl` is the run's last word; else its errors do not count where they are to
                be tried again.
        """
        self._files, self._places, self._stems = [], {}, {}
        for file in (self._folder / RESULTS, *sorted((self._folder / BLOCKS).glob("*.jsonl"))):
            try:
                with file.open("rb") as lines:
                    self._scan_lines(file, lines)
            except FileNotFoundError:  # not there yet, or merged by another process since it was listed
                continue
            if self._retry_errors and not is_finished and file.name == RESULTS:
                self._forget_failures()

    def _forget_failures(self) -> None:
        for places in self._places.values():
            for target in [target for target, place in places.items() if place.failed]:
                del places[target]

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
            # A line without an end was being written when the process was stopped, and one that is no JSON when the
            # machine was: their images are explained again.
            if line.endswith(b"\n"):
                with contextlib.suppress(ValueError):
                    self._add_place(json.loads(line), len(self._files) - 1, offset)
            offset += len(line)

    def _add_place(self, row: Row, file: int, offset: int) -> None:
        places = self._places.setdefault(row["path"], {})
        if is_failure_of_image(row):
            if places.keys() <= {None}:
                places[None] = Place(file, offset, True)
            return
        places.pop(None, None)
        places[row.get("target")] = Place(file, offset, "error" in row)
        if "files" in row:
            self._stems[row["files"]] = row["path"]

    @property
    def paths(self) -> Iterator[str]:
        """The images that there are lines of."""
        return (path for path, places in self._places.items() if places)

    def is_done(self, path: str) -> bool:
        """Whether all the lines of an image are there."""
        places = self._places.get(path, {})
        return None in places or len(places) >= self._rows_per_image

    def targets(self, path: str) -> set[int]:
        """Returns the classes of an image that there are lines of."""
        return {target for target in self._places.get(path, {}) if target is not None}

    def rows(self, paths: Iterable[str]) -> Iterator[list[Row]]:
        """Yields the lines of each image, in the order in which they were written."""
        opened: BinaryIO | None = None
        number = -1
        try:
            for path in paths:
                found = []
                for file, offset, _ in sorted(self._places.get(path, {}).values()):
                    if file != number or opened is None:
                        if opened is not None:
                            opened.close()
                        opened, number = self._files[file].open("rb"), file
                    opened.seek(offset)
                    found.append(json.loads(opened.readline()))
                yield found
        finally:
            if opened is not None:
                opened.close()

    def is_explained(self, path: str) -> bool:
        """Whether an image has a line without an error."""
        return any(not place.failed for place in self._places.get(path, {}).values())

    def failed_lines(self, path: str) -> int:
        """Returns how many lines of an image say an error."""
        return sum(place.failed for place in self._places.get(path, {}).values())

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
        """Appends lines to the journal of a block."""
        file = self._file(block)
        file.parent.mkdir(exist_ok=True)
        with file.open("ab") as journal:
            if block not in self._mended:
                self._drop_torn_line(file)
                self._mended.add(block)
            journal.write(json_lines(rows))

    def _file(self, block: int) -> Path:
        return self._folder / BLOCKS / f"{block:06d}.jsonl"

    @staticmethod
    def _drop_torn_line(file: Path) -> None:
        content = file.read_bytes()
        if not content.endswith(b"\n"):
            with file.open("rb+") as journal:
                journal.truncate(content.rfind(b"\n") + 1)
