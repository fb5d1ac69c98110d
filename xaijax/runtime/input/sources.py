"""One image of the input: how it is named, read and identified, whichever kind of file holds it."""

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from xaijax.runtime.input.arrays import decode_array, digest_array, read_row
from xaijax.runtime.input.decode import UnreadableImageError, decode_image, read_file
from xaijax.runtime.input.identity import Identity
from xaijax.runtime.input.tar_shards import read_member, split_member
from xaijax.runtime.input.urls import fetch, is_url


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """An image of the input.

    Attributes:
        name: as in the results: a path or URL, `shard.tar/member.jpg`, or `images.npy[12]`.
        offset: of a member in its tar file, in bytes; -1 for all other images.
        size: of that member, in bytes.
        row: of an array; -1 for all other images.
        target: the class to explain, written as for `--target`; None is the run's.
        id: replaces the hash of the pixels as the image's id, see `xaijax.explain`; None does not.
        error: why it cannot be read, a sentence, where its list or the file that holds it is damaged.
    """

    name: str
    offset: int = -1
    size: int = -1
    row: int = -1
    target: str | None = None
    id: int | None = None
    error: str = ""

    @property
    def stem(self) -> str:
        """The image's own name, without folder and suffix."""
        if self.row >= 0:
            return f"{Path(self.container).stem}_{self.row}"
        return Path(self.name).stem

    @property
    def container(self) -> str:
        """The file that holds the image: a tar file, an array, or the image's own file."""
        if self.row >= 0:
            return self.name.rpartition("[")[0]
        return self.name if self.offset < 0 else split_member(self.name)[0]

    def read(self, channels: int = 3) -> tuple[Image.Image, Identity]:
        """Returns the image, 8-bit RGB or grey, and its identity.

        Args:
            channels: 3 for RGB, 1 for grey.

        Raises:
            UnreadableImageError: it cannot be read; the message says why and what to do.
        """
        if self.error:
            raise UnreadableImageError(self.error)
        if self.row >= 0:
            pixels, identity = self._read_row()
            return decode_array(pixels, channels, self.name), identity
        content, identity = self._read_content()
        return decode_image(content, Path(self.name).name, channels), identity

    def identify(self, *, by_content: bool) -> Identity:
        """Returns the present identity of the image.

        Args:
            by_content: whether to read the content for its digest; else only the file's size and time are returned, and
                nothing of a URL or a missing file.

        Raises:
            UnreadableImageError: the content cannot be read.
        """
        if by_content and self.error:
            raise UnreadableImageError(self.error)
        if by_content:
            return (self._read_row() if self.row >= 0 else self._read_content())[1]
        if is_url(self.name):
            return Identity()
        try:
            return Identity.of_file(os.stat(self.container))
        except (OSError, ValueError):  # gone, or a path with a NUL
            return Identity()

    def _read_row(self) -> tuple[np.ndarray, Identity]:
        identity = self.identify(by_content=False)
        pixels = read_row(self.container, self.row, identity)
        return pixels, dataclasses.replace(identity, sha256=digest_array(pixels))

    def _read_content(self) -> tuple[bytes, Identity]:
        if is_url(self.name):
            content, identity = fetch(self.name), Identity()
        elif self.offset >= 0:
            content, identity = read_member(self.container, self.offset, self.size)
        else:
            content, stat = read_file(Path(self.name))
            identity = Identity.of_file(stat)
        return content, dataclasses.replace(identity, sha256=hashlib.sha256(content).hexdigest())
