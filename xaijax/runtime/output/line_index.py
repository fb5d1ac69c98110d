"""An index of the lines of a run by image: which lines count, and where on disk they are.

In memory are only the position of each line and the identity of the pixels that it is about.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from xaijax.runtime.input.identity import Identity
from xaijax.runtime.output.result_lines import AGAIN, WRITTEN, Row, is_failure_of_image


class Line(NamedTuple):
    """The position of a line, and what the index needs of its content."""

    file: int  # number of the file
    offset: int  # in the file, in bytes
    failed: bool  # whether the line is an error
    shard: int = -1  # number of the shard with its packed mask; -1 for none yet


@dataclasses.dataclass(slots=True)
class _Image:
    """The lines of an image that count.

    Attributes:
        identity: of the pixels that they are about.
        file: of the latest of them.
        written: when the latest of them was written.
        lines: by class; None stands for the error of the whole image.
        is_again: whether the image was marked to be explained again, so that earlier lines in other files do not count.
    """

    identity: Identity
    file: int
    written: int
    lines: dict[int | None, Line]
    is_again: bool = False


class LineIndex:
    """The lines that count for each image.

    Args:
        rows_per_image: lines that an explained image has.
    """

    def __init__(self, *, rows_per_image: int) -> None:
        self._rows_per_image = rows_per_image
        self.clear()

    def clear(self) -> None:
        """Forgets all lines."""
        self._images: dict[str, _Image] = {}
        self._stems: dict[str, str] = {}

    def add_line(self, row: Row, file: int, offset: int) -> None:
        """Adds a line; of several, the later one in a file counts, and among files the one that was written later.

        Args:
            row: the line, parsed.
            file: number of its file.
            offset: in the file, in bytes.
        """
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
            return  # a complete explanation outlasts a later failure to read the image
        if not is_earlier:
            image.identity, image.file, image.written = identity, file, written
        if "files" in row:
            self._stems[row["files"]] = row["path"]

    def forget_lines(self, path: str) -> None:
        """Forgets the lines of an image."""
        self._images[path].lines.clear()

    def lines_of(self, path: str) -> Mapping[int | None, Line]:
        """Returns the lines of an image by class; None stands for the error of the whole image."""
        image = self._images.get(path)
        return {} if image is None else image.lines

    @property
    def paths(self) -> Iterator[str]:
        """The images that have lines."""
        return (path for path, image in self._images.items() if image.lines)

    @property
    def shards(self) -> set[int]:
        """The numbers of the shards that lines refer to."""
        shards = {line.shard for image in self._images.values() for line in image.lines.values()}
        return shards - {-1}

    def identity(self, path: str) -> Identity:
        """Returns the identity of the pixels that an image with lines was read from."""
        return self._images[path].identity

    def is_done(self, path: str) -> bool:
        """Whether all lines of an image are there."""
        lines = self.lines_of(path)
        return None in lines or len(lines) >= self._rows_per_image

    def targets(self, path: str) -> set[int]:
        """Returns the classes of an image that have lines."""
        return {target for target in self.lines_of(path) if target is not None}

    def is_explained(self, path: str) -> bool:
        """Whether an image has a line without an error."""
        return any(not line.failed for line in self.lines_of(path).values())

    def failed_lines(self, path: str) -> int:
        """Returns how many lines of an image are errors."""
        return sum(line.failed for line in self.lines_of(path).values())

    def is_taken(self, stem: str, path: str) -> bool:
        """Whether files with this stem belong to another image, as they may once the list of images has changed."""
        return self._stems.get(stem, path) != path
