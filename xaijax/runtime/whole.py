"""Files that are whole or not there at all, whatever happens to the process that writes them."""

import contextlib
import io
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

PARTS = ".*.????????????????.part"
"""What files are named while they are written."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to write under another name and moves it into place, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part_of(path) as temporary:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a whole file, or nothing."""
    with whole_file(path) as file:
        file.write(content)


def write_new(path: Path, content: bytes) -> None:
    """Writes a whole file where there is none, and nothing where there is one, also if several processes do at once."""
    if path.exists():
        return
    with _part_of(path) as temporary:
        temporary.write_bytes(content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not path.exists():
                temporary.replace(path)


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    """Names a file that no other process writes, and drops what is left of it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")  # each container has a process 1
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def json_text(value: Any) -> bytes:
    """Returns JSON, indented."""
    return (json.dumps(value, indent=2) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, indented."""
    write_whole(path, json_text(value))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Writes a picture in the format that the suffix names."""
    with whole_file(path) as file:
        picture.save(file, Image.registered_extensions()[path.suffix])


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Writes `[H, W]` bool as a 1-bit PNG."""
    write_picture(path, Image.fromarray(mask).convert("1"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array as `.npy`."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_whole(path, buffer.getvalue())
