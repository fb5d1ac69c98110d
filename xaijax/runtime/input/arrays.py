"""Images in `.npy` and `.npz` files: the rows of an array."""

import dataclasses
import functools
import hashlib
import math
import os
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from xaijax.runtime.input.decode import MAX_DECODED, UnreadableImageError
from xaijax.runtime.input.identity import Identity

ARRAYS = (".npy", ".npz")
"""Suffixes of files that hold an array of images."""

SLACK = 1e-4
"""As `xaijax.arguments.SLACK`."""


MAX_ARRAY = 1 << 32
"""Bytes of an array in a `.npz` at most, which is unpacked as a whole."""


@dataclasses.dataclass(frozen=True)
class ImageArray:
    """An array of images in a file.

    Attributes:
        name: path of the file.
        shape: `(B, H, W)` or `(B, H, W, C)`.
        dtype: of the pixels.
        present: rows that the file has room for.
        offset: of the first row in a `.npy`, in bytes.
        pixels: the array where it is in memory or cannot be read row by row; else None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    present: int
    offset: int = 0
    pixels: np.ndarray | None = None

    def row(self, number: int) -> np.ndarray:
        """Reads one image; from a `.npy` not by a memory map, as a file that is cut short would kill the process.

        Raises:
            UnreadableImageError: the file ends before, or the image is too large.
        """
        if self.pixels is not None:
            return np.asarray(self.pixels[number])
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        if size > MAX_DECODED:
            raise UnreadableImageError(
                f"{self.name}[{number}] takes {size:,} bytes, more than {MAX_DECODED:,}; shrink it first."
            )
        with open(self.name, "rb") as file:
            file.seek(self.offset + number * size)
            content = file.read(size)
        if len(content) < size:
            raise UnreadableImageError(f"{self.name} ends before its row {number}; write it again.")
        return np.frombuffer(content, self.dtype).reshape(self.shape[1:])


@functools.lru_cache(maxsize=8)
def open_array(name: str, identity: Identity) -> ImageArray:
    """Opens the array of images in a file; of a `.npy` the rows are read when they are accessed.

    Args:
        name: path of the file.
        identity: of the file; a file that has changed is opened again.

    Raises:
        ValueError: it holds no array of images.
    """
    try:
        with open(name, "rb") as file:
            images = _rows_of(name, file) if file.read(6) == np.lib.format.MAGIC_PREFIX else _unpacked(name, file)
    except Exception as error:  # readers of archives raise many kinds: OSError, BadZipFile, zlib.error, EOFError, ...
        reason = str(error) or type(error).__name__
        raise ValueError(f"{name!r} holds no array of images ({reason}); save one as `images`.") from error
    if len(images.shape) not in (3, 4) or 0 in images.shape[1:]:
        raise ValueError(f"{name!r} holds an array of shape {images.shape}; give [B, H, W] or [B, H, W, C].")
    return images


def _rows_of(name: str, file: BinaryIO) -> ImageArray:
    """Returns the images of an opened `.npy`, of which the header alone is read."""
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"version {version} of its format")
    shape, is_by_columns, dtype = read_header[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if is_by_columns:
        return ImageArray(name, shape, dtype, shape[0] if shape else 0, pixels=np.load(name, mmap_mode="r"))
    offset = file.tell()
    size = math.prod(shape[1:]) * dtype.itemsize
    room = (os.fstat(file.fileno()).st_size - offset) // max(size, 1)
    return ImageArray(name, shape, dtype, min(room, *shape[:1]), offset)


def _unpacked(name: str, file: BinaryIO) -> ImageArray:
    """Returns the images of an opened `.npz`."""
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        names = list(archive)
        chosen = "images" if "images" in names or len(names) != 1 else names[0]
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.zip.infolist()}
        if sizes.get(chosen, 0) > MAX_ARRAY:
            raise ValueError(
                f"{chosen!r} unpacks to {sizes[chosen]:,} bytes, more than {MAX_ARRAY:,}; a .npy is read row by row"
            )
        pixels: np.ndarray = archive[chosen]
    return ImageArray(name, pixels.shape, pixels.dtype, len(pixels), pixels=pixels)


def read_row(name: str, row: int, identity: Identity) -> np.ndarray:
    """Reads one image of an array; see `open_array`.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    try:
        return open_array(name, identity).row(row)
    except UnreadableImageError:
        raise
    except (ValueError, IndexError, OSError) as error:
        raise UnreadableImageError(f"{name}[{row}] cannot be read ({error}).") from error


def digest_array(pixels: np.ndarray) -> str:
    """Returns the SHA-256 of an array with its shape and dtype."""
    return hashlib.sha256(f"{pixels.dtype.str} {pixels.shape}\n".encode() + pixels.tobytes()).hexdigest()


def decode_array(pixels: np.ndarray, channels: int, name: str) -> Image.Image:
    """Returns `[H, W]` or `[H, W, C]` pixels, uint8, uint16 or float in [0, 1], as 8-bit RGB or grey.

    Args:
        pixels: of the image.
        channels: 3 for RGB, 1 for grey.
        name: of the image, for messages.

    Raises:
        UnreadableImageError: the pixels are something else.
    """
    if pixels.dtype.kind == "f" and np.all((pixels >= -SLACK) & (pixels <= 1 + SLACK)):
        pixels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    elif pixels.dtype == np.uint16:
        pixels = np.round(pixels / 257).astype(np.uint8)
    if pixels.dtype != np.uint8 or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)):
        raise UnreadableImageError(
            f"{name} is {pixels.dtype} {pixels.shape}; give uint8, uint16, or floats in [0, 1], of 1 or 3 channels."
        )
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    return image.convert("L" if channels == 1 else "RGB")
