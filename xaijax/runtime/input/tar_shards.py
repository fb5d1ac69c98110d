"""Images in uncompressed `.tar` files: members, read by their offset."""

import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xaijax.runtime.input.decode import SUFFIXES, UnreadableImageError
from xaijax.runtime.input.identity import Identity

SHARDS = (".tar",)
"""Suffixes of tar files."""


class Member(NamedTuple):
    """An image in a tar file."""

    name: str  # of the file and the member, `shard.tar/member.jpg`
    offset: int  # in bytes
    size: int  # in bytes


def list_members(shard: str) -> Iterator[Member]:
    """Yields the members of a tar file that have an image's suffix.

    Raises:
        ValueError: it is not an uncompressed tar file.
    """
    try:
        with tarfile.open(shard, "r:") as opened:
            for member in opened:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    yield Member(f"{shard}/{member.name}", member.offset_data, member.size)
    except tarfile.TarError as error:
        raise ValueError(f"{shard!r} is no uncompressed tar file ({error}); write it again, or unpack it.") from error


def split_member(name: str) -> tuple[str, str]:
    """Splits `shard.tar/member.jpg` into file and member; without a tar file the member is empty."""
    match = re.match(r"(.+?\.tar)/(.+)$", name)
    return (match[1], match[2]) if match else (name, "")


def read_member(shard: str, offset: int, size: int) -> tuple[bytes, Identity]:
    """Reads a member of a tar file, and returns it with the identity of the file.

    Raises:
        UnreadableImageError: the file cannot be read.
    """
    try:
        with open(shard, "rb") as opened:
            opened.seek(offset)
            return opened.read(size), Identity.of_file(os.fstat(opened.fileno()))
    except OSError as error:
        raise UnreadableImageError(f"{shard} cannot be read ({error.strerror}).") from error
