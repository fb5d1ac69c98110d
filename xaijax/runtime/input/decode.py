"""Decodes image files the way a viewer shows them: upright, in 8 bits, without transparency."""

import contextlib
import functools
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
"""The formats that are read; Pillow knows others, some of which start programs, such as Ghostscript for EPS."""

MAX_PIXELS = 178_956_970
"""Pixels of an image at most: Pillow's own bound for a decompression bomb."""

MAX_FILE = 1 << 30
"""Bytes of an image's file at most."""

MAX_DECODED = 1 << 29
"""Bytes of a decoded image at most."""

BUDGET = 3 * MAX_DECODED
"""Bytes that the threads of a process decode at a time."""

BLOCK = 1 << 20
"""Pixels of more than 8 bits that are scaled at a time."""


class UnreadableImageError(ValueError):
    """An image that cannot be read; the message states why and what to do."""


class Budget:
    """What threads share, such as memory: who asks for more than is left waits until others are done."""

    def __init__(self, size: int) -> None:
        self._left = self._size = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Takes some of it while the block lasts; who asks for more than there is takes all."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()


_BUDGET = Budget(BUDGET)


@functools.cache
def _formats() -> tuple[str, ...]:
    """Returns those of `FORMATS` that this Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def read_file(path: Path) -> tuple[bytes, os.stat_result]:
    """Returns the content of a file, and the file's status when it was read.

    Raises:
        UnreadableImageError: it is missing, or a folder, a pipe or a device, or too large, or may not be read.
    """
    if _is_stream(path):
        raise UnreadableImageError(f"{path.name} is a pipe or a device, not a file; save the image to a file.")
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > MAX_FILE:
                raise UnreadableImageError(
                    f"{path.name} has {status.st_size:,} bytes, more than {MAX_FILE:,}; shrink the image first."
                )
            return file.read(status.st_size), status
    except FileNotFoundError as error:
        raise UnreadableImageError(f"{path.name} does not exist; check the path.") from error
    except IsADirectoryError as error:
        raise UnreadableImageError(f"{path.name} is a folder, not an image; name the files in it.") from error
    except PermissionError as error:
        raise UnreadableImageError(f"{path.name} may not be read; change its permissions.") from error
    except UnreadableImageError:
        raise
    except (OSError, ValueError) as error:  # of another kind: a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise UnreadableImageError(f"{path.name} cannot be read ({reason}); check it.") from error


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # reported when the file is read
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def read_image(path: Path, channels: int = 3) -> Image.Image:
    """Reads one image file as `decode_image` does.

    Raises:
        UnreadableImageError: see `read_file` and `decode_image`.
    """
    return decode_image(read_file(path)[0], path.name, channels)


def decode_image(content: bytes, name: str, channels: int = 3) -> Image.Image:
    """Decodes the content of an image file as 8-bit RGB or grey.

    The image is rotated by its EXIF orientation, 16 bits are scaled to 8, transparency is blended onto white, and of
    several frames the first is taken.

    Args:
        content: of the file.
        name: of the file, for messages.
        channels: 3 for RGB, 1 for grey.

    Raises:
        UnreadableImageError: the content is empty, truncated, not an image, too large, or not finite.
    """
    if not content:
        raise UnreadableImageError(f"{name} is empty; fetch it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of harmless flaws, and of sizes, which are checked below
            with Image.open(io.BytesIO(content), formats=_formats()) as image:
                pixels = image.width * image.height
                if pixels > MAX_PIXELS:
                    raise UnreadableImageError(
                        f"{name} has {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}; shrink it first."
                    )
                size = pixels * _bytes_per_pixel(image.mode)
                if size > MAX_DECODED:
                    raise UnreadableImageError(
                        f"{name} has {image.width}x{image.height} pixels, which take {size:,} bytes, more than "
                        f"{MAX_DECODED:,}; shrink it first."
                    )
                with _BUDGET.taking(3 * size):  # with its upright and its converted copy
                    image.load()
                    return _to_viewed(image, channels, name)
    except (UnreadableImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"{name} is larger than {MAX_PIXELS:,} pixels; shrink it first.") from error
    except UnidentifiedImageError as error:
        listed = ", ".join(FORMATS)
        raise UnreadableImageError(f"{name} is no image of {listed}; convert it to PNG or JPEG.") from error
    except Exception as error:  # decoders raise many kinds: OSError, SyntaxError, struct.error, EOFError, ...
        raise UnreadableImageError(f"{name} is truncated or damaged ({error}); fetch it again.") from error


def _bytes_per_pixel(mode: str) -> int:
    """Returns how many bytes Pillow keeps of a pixel: one band alone, or four whether all are used or not."""
    return {"1": 1, "L": 1, "P": 1, "I;16": 2}.get(mode, 4)


def _to_viewed(image: Image.Image, channels: int, name: str) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def _to_eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Scales 16-bit integers by their full range, and floats from [0, 1] or else from their own range, to 8 bits."""
    pixels = np.asarray(image)
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise UnreadableImageError(f"{name} holds NaN or infinity; replace them.")
    if image.mode.startswith("I"):  # in practice 32-bit integers hold values of 8 or 16 bits
        low, high = 0.0, 255.0 if image.mode == "I" and high <= 255 else 65535.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = np.empty(pixels.shape, np.uint8)
    rows = max(1, BLOCK // max(1, image.width))
    for row in range(0, image.height, rows):  # as floats, all pixels at once would take many times their memory
        block = (pixels[row : row + rows].astype(np.float64) - low) / max(high - low, 1e-12) * 255
        scaled[row : row + rows] = np.clip(np.round(block), 0, 255)
    return Image.fromarray(scaled)
