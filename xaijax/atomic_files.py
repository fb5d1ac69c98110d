"""Atomic, durable writes: a file is whole or absent, whatever happens to the process or the machine that writes it."""

import contextlib
import errno
import io
import json
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

SYNCS = 8
"""Files synced concurrently; a file system commits syncs that wait for it together."""

WRITER = secrets.token_hex(4)
"""Identifies this process in the names of its temporary files; a process id is not unique across containers."""

_PART = re.compile(r"\..+\.([0-9a-f]{8})[0-9a-f]{8}\.part")


def is_part(name: str, excluding: Collection[str] = ()) -> bool:
    """Whether a name is that of a temporary file, being written or left by a killed process.

    Args:
        name: of the file.
        excluding: the `WRITER`s whose temporary files do not count.
    """
    match = _PART.fullmatch(name)
    return match is not None and match[1] not in excluding


@contextlib.contextmanager
def atomic_file(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Opens a temporary file to write, and renames it to `path` at the end, so that no reader ever sees half of it.

    Args:
        path: of the file.
        durable: whether it survives a power loss once the block has ended; see also `sync`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part_of(path) as temporary:
        with temporary.open("wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    if durable:
        _sync(path.parent)


def atomic_write(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Writes a file atomically; see `atomic_file`."""
    with atomic_file(path, durable=durable) as file:
        file.write(content)


def write_new(path: Path, content: bytes) -> bool:
    """Creates a file atomically and durably, unless it exists.

    Returns:
        Whether this process created it; of several that try at once, exactly one does.
    """
    if path.exists():
        return False
    with _part_of(path) as temporary:
        temporary.write_bytes(content)
        _sync(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            temporary.replace(path)
    _sync(path.parent)
    return True


def sync(paths: Iterable[Path]) -> None:
    """Makes existing files survive a power loss: syncs their content, then the folders that hold them."""
    files = list(paths)
    with ThreadPoolExecutor(SYNCS, thread_name_prefix="sync") as pool:
        list(pool.map(_sync, files))
    for folder in {folder for file in files for folder in file.parents[:2]}:
        _sync(folder)


def _sync(path: Path) -> None:
    """Syncs a file, or the names in a folder if the file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    """Yields the path of a temporary file that no other process writes, and deletes what is left of it at the end."""
    temporary = path.with_name(f".{path.name}.{WRITER}{secrets.token_hex(4)}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def drop_empty(folder: Path) -> None:
    """Deletes a folder if it is empty."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def check_writable(folder: Path) -> None:
    """Creates a folder if there is none, and writes a file in it, which it deletes again.

    Raises:
        ValueError: that fails; the message says why and what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _part_of(folder / "check") as temporary:
            temporary.write_bytes(b"\0")
    except (OSError, ValueError) as error:  # the latter for a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"cannot write to {str(folder)!r} ({reason}); change its permissions, or name another folder."
        ) from error


@contextlib.contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Turns an OSError in the block into a ValueError that names the folder and how to resume."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"cannot write to {str(out)!r} ({reason}); fix that and run the same command again, which resumes."
        ) from error


def json_text(value: Any) -> bytes:
    """Returns a value as indented JSON."""
    return (json.dumps(value, indent=2) + "\n").encode()


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Writes a value as indented JSON."""
    atomic_write(path, json_text(value), durable=durable)


def write_picture(path: Path, picture: Image.Image) -> None:
    """Writes a picture in the format of the suffix."""
    with atomic_file(path) as file:
        picture.save(file, Image.registered_extensions()[path.suffix])


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Writes `[H, W]` bool as a 1-bit PNG."""
    write_picture(path, Image.fromarray(mask).convert("1"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array as `.npy`."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    atomic_write(path, buffer.getvalue())
