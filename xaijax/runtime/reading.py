"""Image files, read the way a person expects to see them."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
MAX_PIXELS = 178_956_970  # Pillow's own bound for a decompression bomb


class UnreadableImageError(ValueError):
    """A file that cannot be explained; the message is a sentence that says why."""


def find_images(inputs: Iterable[Path]) -> list[Path]:
    """Lists the image files that `inputs`, files and folders, name.

    A folder stands for the files under it, in the order of their names, that have an image's suffix; a file stands for
    itself, whatever its suffix.

    Raises:
        ValueError: an input is not there, or a folder holds no image.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                suffixes = ", ".join(sorted(SUFFIXES))
                raise ValueError(f"folder {str(path)!r} holds no image; the suffixes are {suffixes}.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"{str(path)!r} does not exist; check the path.")
    return found


def read_image(path: Path, channels: int = 3) -> Image.Image:
    """Reads one image file as 8-bit RGB or grey.

    Turned as its EXIF orientation says; 16 bits scaled to 8; transparency laid on white; the first frame of several.

    Args:
        path: of the file.
        channels: 3 for RGB, 1 for grey.

    Raises:
        UnreadableImageError: the file is missing, empty, truncated, no image, too large, or not finite.
    """
    try:
        if path.stat().st_size == 0:
            raise UnreadableImageError(f"{path.name} is empty; fetch it again.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of harmless flaws, and of what is checked below
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableImageError(
                        f"{path.name} has {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}; shrink it "
                        "first."
                    )
                image.load()
                return _as_seen(image, channels, path.name)
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"{path.name} is larger than {MAX_PIXELS:,} pixels; shrink it first.") from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"{path.name} is not an image that Pillow reads; convert it to PNG or JPEG."
        ) from error
    except FileNotFoundError as error:
        raise UnreadableImageError(f"{path.name} does not exist; check the path.") from error
    except IsADirectoryError as error:
        raise UnreadableImageError(f"{path.name} is a folder, not an image; name the files in it.") from error
    except PermissionError as error:
        raise UnreadableImageError(f"{path.name} may not be read; change its permissions.") from error
    except Exception as error:  # decoders raise many kinds: OSError, SyntaxError, struct.error, EOFError, ...
        raise UnreadableImageError(f"{path.name} is truncated or damaged ({error}); fetch it again.") from error


def _as_seen(image: Image.Image, channels: int, name: str) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def _to_eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Scales 16-bit integers by their full range, and floats of [0, 1], or else by their own range, to 8 bits."""
    pixels = np.asarray(image, np.float64)
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise UnreadableImageError(f"{name} holds NaN or infinity; replace them.")
    if image.mode.startswith("I"):  # 32 bits hold 8 or 16 in practice
        low, high = 0.0, 255.0 if image.mode == "I" and high <= 255 else 65535.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (pixels - low) / max(high - low, 1e-12) * 255
    return Image.fromarray(np.clip(np.round(scaled), 0, 255).astype(np.uint8))
