"""The journals of a run: one append-only file per block of the input, read back by image.

Several processes write to one folder, each to the journals of its own blocks. Once all images are done, the journals
are merged into `results.jsonl`, which is read in the same way.
"""

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from xaijax.atomic_files import sync
from xaijax.runtime.layout import BLOCKS, RESULTS
from xaijax.runtime.output.line_index import LineIndex
from xaijax.runtime.output.result_lines import AGAIN, WRITTEN, Row, json_lines, parse_line


class MovedError(OSError):
    """A file was replaced since its lines were indexed."""


class Journal(LineIndex):
    """The lines of a run, finished or not.

    Args:
        folder: of the run.
        rows_per_image: lines that an explained image has.

    Attributes:
        damaged: files with damaged lines, and how many.
        expected: blocks whose journals are looked for by name too, where the folder's listing may be behind.

    Raises:
        ValueError: a file cannot be read.
    """

    def __init__(self, folder: Path, *, rows_per_image: int) -> None:
        super().__init__(rows_per_image=rows_per_image)
        self._folder = folder
        self._files: list[Path] = []
        self._checked_blocks: set[int] = set()
        self.damaged: dict[Path, int] = {}
        self.expected: Iterable[int] = ()
        self.scan()

    @property
    def blocks(self) -> list[Path]:
        """The journals that were indexed."""
        return [file for file in self._files if file.parent.name == BLOCKS]

    def scan(self) -> None:
        """Indexes the lines that are on disk now, of all processes."""
        while not self._scan():
            pass

    def _scan(self) -> bool:
        """Indexes all files; returns False where another process merged them meanwhile."""
        self.clear()
        self._files, self.damaged = [], {}
        journals = sorted((self._folder / BLOCKS).glob("*.jsonl"))
        unlisted = {self._file(block) for block in self.expected} - {*journals}
        for file in (self._folder / RESULTS, *journals, *sorted(unlisted)):
            try:
                with file.open("rb") as lines:
                    self._index(file, lines)
            except FileNotFoundError:
                if file in journals:
                    return False
            except OSError as error:
                raise ValueError(f"{str(file)!r} cannot be read ({error.strerror}); fix that first.") from error
        return True

    def scan_block(self, block: int) -> None:
        """Indexes the journal of a block again, in case a process that died since has written to it."""
        self._checked_blocks.discard(block)
        file = self._file(block)
        with contextlib.suppress(FileNotFoundError), file.open("rb") as lines:
            self._index(file, lines)

    def _index(self, file: Path, lines: Iterable[bytes]) -> None:
        if file not in self._files:
            self._files.append(file)
        number = self._files.index(file)
        offset = 0
        for line in lines:
            # A last line without a newline was cut off when the process was killed: its image is explained again.
            if line.endswith(b"\n"):
                row = parse_line(line)
                if row is None:
                    self.damaged[file] = self.damaged.get(file, 0) + 1
                else:
                    self.add_line(row, number, offset)
            offset += len(line)

    def sentences(self) -> Iterator[str]:
        """Yields a sentence about each damaged file."""
        for file, count in self.damaged.items():
            yield f"{count} line(s) of {str(file)!r} are no results, and dropped; listed images are explained again."

    def add(self, block: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends lines to the journal of a block, durably; the files that they refer to must be synced before."""
        file = self._file(block)
        file.parent.mkdir(exist_ok=True)
        with file.open("ab") as journal:
            if block not in self._checked_blocks:
                self._drop_torn_line(file)
                self._checked_blocks.add(block)
            journal.write(json_lines({**row, WRITTEN: time.time_ns()} for row in rows))
        sync([file])

    def mark(self, block: int, paths: Sequence[str]) -> None:
        """Marks images to be explained again, durably and for all processes: earlier lines no longer count."""
        self.add(block, [{"path": path, AGAIN: True} for path in paths])
        for path in paths:
            self.forget_lines(path)

    def _file(self, block: int) -> Path:
        return self._folder / BLOCKS / f"{block:06d}.jsonl"

    @staticmethod
    def _drop_torn_line(file: Path) -> None:
        """Drops a last line without a newline, which a killed process left."""
        content = file.read_bytes()
        if not content.endswith(b"\n"):
            with file.open("rb+") as journal:
                journal.truncate(content.rfind(b"\n") + 1)

    def rows(self, paths: Iterable[str]) -> Iterator[list[Row]]:
        """Yields the lines of each image, in the order in which they were written.

        Raises:
            OSError: another process has merged the files since they were indexed; see `scan`.
        """
        opened: BinaryIO | None = None
        number = -1
        try:
            for path in paths:
                rows = []
                for file, offset, *_ in sorted(self.lines_of(path).values()):
                    if file != number or opened is None:
                        if opened is not None:
                            opened.close()
                        opened, number = self._files[file].open("rb"), file
                    opened.seek(offset)
                    row = parse_line(opened.readline())
                    if row is None or row["path"] != path:
                        raise MovedError(f"{self._files[file].name} is another file than it was.")
                    row.pop(WRITTEN, None)
                    rows.append(row)
                yield rows
        finally:
            if opened is not None:
                opened.close()

    def failures(self, paths: Sequence[str], most: int) -> list[tuple[str, str]]:
        """Returns path and error of the first lines with an error, at most `most` of them."""
        try:
            failed = self.rows(path for path in paths if self.failed_lines(path))
            errors = ((row["path"], row["error"]) for rows in failed for row in rows if "error" in row)
            return list(itertools.islice(errors, most))
        except OSError:  # another process has merged the journals
            self.scan()
            return self.failures(paths, most)
