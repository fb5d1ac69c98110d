"""Images in uncompressed `.tar` files: members, read by their offset."""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xaijax.runtime.input.decode import MAX_FILE, SUFFIXES, UnreadableImageError
from xaijax.runtime.input.identity import Identity

SHARDS = (".tar",)
"""Suffixes of tar files."""

MAX_HEADER = 1 << 24
"""Bytes that a header of a tar file may have."""


class Member(NamedTuple):
    """An image in a tar file."""

    name: str  # of the file and the member, `shard.tar/member.jpg`
    offset: int  # in bytes
    size: int  # in bytes


class _Bounded(io.FileIO):
    """A file of which no more than `MAX_HEADER` bytes are read at a time: what headers may ask for."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of more than {MAX_HEADER:,} bytes")
        return super().read(size)


def list_members(shard: str) -> Iterator[Member]:
    """Yields the members of a tar file that have an image's suffix.

    Raises:
        ValueError: it is not an uncompressed tar file, or it is damaged after the members that were yielded.
    """
    try:
        with _Bounded(shard) as file, tarfile.open(fileobj=file, mode="r:") as opened:
            for member in opened:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    yield Member(f"{shard}/{member.name}", member.offset_data, member.size)
    except Exception as error:  # a header of nonsense raises many kinds: TarError, OverflowError, UnicodeError, ...
        reason = str(error) or type(error).__name__
        raise ValueError(f"{shard!r} is no uncompressed tar file ({reason}); write it again, or unpack it.") from error


def split_member(name: str) -> tuple[str, str]:
    """Splits `shard.tar/member.jpg` into file and member; without a tar file the member is empty.

    A folder may be named like a tar file, too.
    """
    shards = [name[: match.end() - 1] for match in re.finditer(r"\.tar/(?=.)", name, re.IGNORECASE | re.DOTALL)]
    shards = [shard for shard in shards if not os.path.isdir(shard)]
    shard = next((shard for shard in shards if os.path.isfile(shard)), shards[0] if shards else name)
    return shard, name[len(shard) + 1 :]


def read_member(shard: str, offset: int, size: int) -> tuple[bytes, Identity]:
    """Reads a member of a tar file, and returns it with the identity of the file.

    Raises:
        UnreadableImageError: the file cannot be read, ends before, or the member is too large.
    """
    if size > MAX_FILE:
        raise UnreadableImageError(
            f"a member of {shard} has {size:,} bytes, more than {MAX_FILE:,}; shrink the image first."
        )
    try:
        with open(shard, "rb") as opened:
            opened.seek(offset)
            content = opened.read(size)
            if len(content) < size:
                raise UnreadableImageError(f"{shard} ends within the image; write it again.")
            return content, Identity.of_file(os.fstat(opened.fileno()))
    except OSError as error:
        raise UnreadableImageError(f"{shard} cannot be read ({error.strerror}).") from error
