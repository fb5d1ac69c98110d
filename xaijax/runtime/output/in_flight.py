"""Which images are being read: what kills a process while it is decoded must not do so at every start.

An image that was being read when a process died is a suspect. The next start reads it last, and no other image with it;
if the process dies again meanwhile, the image is set aside.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from xaijax.runtime.input.decode import Budget

BEGUN, READ, SUSPECT = "begun", "read", "suspect"
"""What a line says of an image."""

SET_ASIDE = (
    "The process died twice in a row while it read this image, which may be why; shrink it, or leave it out "
    "(--retry-errors tries again)."
)
"""The error of an image that is set aside."""


class InFlight:
    """Notes in a file which images are being read, and knows those that were when the last one who wrote it died.

    Leaving the context deletes the file, unless an exception does so.

    Args:
        file: of this process, or of the block that it works on.
        readers: threads that read images.

    Attributes:
        suspects: images to be read last, each on its own.
        set_aside: images not to be read.
    """

    def __init__(self, file: Path, *, readers: int) -> None:
        self._file = file
        self._readers = readers
        self._turns = Budget(readers)
        begun, earlier = _read(file)
        self.set_aside = begun & earlier
        self.suspects = (begun | earlier) - self.set_aside

    def __enter__(self) -> Self:
        self._opened: BinaryIO | None = None
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(exist_ok=True)
            lines = [json.dumps([SUSPECT, name]) + "\n" for name in sorted(self.suspects)]
            self._file.write_text("".join(lines))
            self._opened = self._file.open("ab", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()
        if error is None:
            self._file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Notes that an image is being read while the block lasts; a suspect waits until nobody reads another one."""
        with self._turns.taking(self._readers if name in self.suspects else 1):
            self._note(BEGUN, name)
            yield
            self._note(READ, name)  # not after an exception, which may be for want of memory

    def _note(self, what: str, name: str) -> None:
        with contextlib.suppress(OSError):
            if self._opened is not None:
                self._opened.write((json.dumps([what, name]) + "\n").encode())


def _read(file: Path) -> tuple[set[str], set[str]]:
    """Returns the images that were begun and not read, and the suspects that were not read."""
    begun: set[str] = set()
    suspects: set[str] = set()
    with contextlib.suppress(OSError):
        for line in file.read_bytes().splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a torn line
                what, name = json.loads(line)
                if what == BEGUN:
                    begun.add(name)
                elif what == SUSPECT:
                    suspects.add(name)
                else:
                    begun.discard(name)
                    suspects.discard(name)
    return begun, suspects
