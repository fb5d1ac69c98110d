"""The identity of an image's pixels, by which a later run finds out whether they were replaced."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Which pixels the name of an image stood for when it was read.

    Attributes:
        sha256: of the image's file or tar member, or of an array's row with its shape and dtype; empty if unknown.
        bytes: size of the file that holds the image; None if unknown, as for a URL.
        mtime_ns: modification time of that file, in nanoseconds; None if unknown.
    """

    sha256: str = ""
    bytes: int | None = None
    mtime_ns: int | None = None

    @classmethod
    def of_file(cls, stat: os.stat_result) -> "Identity":
        """Returns the identity of a file that was not read."""
        return cls(bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def is_same(self, other: "Identity") -> bool:
        """Whether both may be of the same pixels: equal digests, or else an equal size and time of the file.

        Where a size or a time is unknown, only two known digests tell them apart.
        """
        if self.sha256 and self.sha256 == other.sha256:
            return True
        own_file, other_file = (self.bytes, self.mtime_ns), (other.bytes, other.mtime_ns)
        if None in own_file + other_file:
            return not (self.sha256 and other.sha256)
        return own_file == other_file
