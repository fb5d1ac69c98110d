"""Files that are whole or not there at all, whatever happens to the process or the machine that writes them."""

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
"""Files that are synced at a time: a file system commits what waits for it together."""

WRITER = secrets.token_hex(4)
"""Names this process in the names of the files that it is writing; each container has a process 1."""

_PART = re.compile(r"\..+\.([0-9a-f]{8})[0-9a-f]{8}\.part")


def is_part(name: str, but_of: Collection[str] = ()) -> bool:
    """Whether a file of this name is one that is being written or whose writer was killed, but of some writers."""
    found = _PART.fullmatch(name)
    return found is not None and found[1] not in but_of


@contextlib.contextmanager
def atomic_file(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Opens a file to write under another name and moves it into place, so that no reader ever sees half of it.

    Args:
        path: of the file.
        durable: whether it outlives a loss of power once the block has ended; see also `sync`.
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
    """Writes a whole file, or nothing; see `atomic_file`."""
    with atomic_file(path, durable=durable) as file:
        file.write(content)


def write_new(path: Path, content: bytes) -> bool:
    """Writes a whole, durable file where there is none, and nothing where there is one.

    Returns:
        Whether it was this process that wrote it; of several that do at once, one has.
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
    """Makes files that are in place outlive a loss of power: their content, then their names and their folders'."""
    files = list(paths)
    with ThreadPoolExecutor(SYNCS, thread_name_prefix="sync") as pool:
        list(pool.map(_sync, files))
    for folder in {folder for file in files for folder in file.parents[:2]}:
        _sync(folder)


def _sync(path: Path) -> None:
    """Syncs a file, or the names in a folder where the file system can."""
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
    """Names a file that no other process writes, and drops what is left of it."""
    temporary = path.with_name(f".{path.name}.{WRITER}{secrets.token_hex(4)}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def drop_empty(folder: Path) -> None:
    """Deletes a folder in which there is nothing."""
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Says what cannot be written, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"cannot write to {str(out)!r} ({reason}); mend it, and the same command goes on.") from error


def json_text(value: Any) -> bytes:
    """Returns JSON, indented."""
    return (json.dumps(value, indent=2) + "\n").encode()


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Writes JSON, indented."""
    atomic_write(path, json_text(value), durable=durable)


def write_picture(path: Path, picture: Image.Image) -> None:
    """Writes a picture in the format that the suffix names."""
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
