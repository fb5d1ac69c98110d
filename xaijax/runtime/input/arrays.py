"""Images in `.npy` and `.npz` files: the rows of an array."""

import functools
import hashlib

import numpy as np
from PIL import Image

from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.identity import Identity

ARRAYS = (".npy", ".npz")
"""Suffixes of files that hold an array of images."""


@functools.lru_cache(maxsize=8)
def open_array(name: str, identity: Identity) -> np.ndarray:
    """Opens the array of images in a file; of a `.npy` the rows are read when they are accessed.

    Args:
        name: path of the file.
        identity: of the file; a file that has changed is opened again.

    Raises:
        ValueError: it holds no array of images.
    """
    try:
        loaded = np.load(name, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            images = loaded
        else:
            names = list(loaded)
            images = loaded["images" if "images" in names or len(names) != 1 else names[0]]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{name!r} holds no array of images ({error}); save one as `images`.") from error
    if images.ndim not in (3, 4):
        raise ValueError(f"{name!r} holds an array of shape {images.shape}; give [B, H, W] or [B, H, W, C].")
    return images


def read_row(name: str, row: int, identity: Identity) -> np.ndarray:
    """Reads one image of an array; see `open_array`.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    try:
        return np.asarray(open_array(name, identity)[row])
    except (ValueError, IndexError) as error:
        raise UnreadableImageError(f"{name}[{row}] cannot be read ({error}).") from error


def digest_array(pixels: np.ndarray) -> str:
    """Returns the SHA-256 of an array with its shape and dtype."""
    return hashlib.sha256(f"{pixels.dtype.str} {pixels.shape}\n".encode() + pixels.tobytes()).hexdigest()


def decode_array(pixels: np.ndarray, channels: int, name: str) -> Image.Image:
    """Returns `[H, W]` or `[H, W, C]` pixels, uint8 or float in [0, 1], as 8-bit RGB or grey.

    Args:
        pixels: of the image.
        channels: 3 for RGB, 1 for grey.
        name: of the image, for messages.

    Raises:
        UnreadableImageError: the pixels are something else.
    """
    if pixels.dtype.kind == "f" and np.all((pixels >= 0) & (pixels <= 1)):
        pixels = np.round(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8 or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)):
        raise UnreadableImageError(
            f"{name} is {pixels.dtype} {pixels.shape}; give uint8, or floats in [0, 1], of 1 or 3 channels."
        )
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    return image.convert("L" if channels == 1 else "RGB")
