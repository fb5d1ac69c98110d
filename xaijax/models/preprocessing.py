"""From a photograph to a classifier's pixels, exactly as the source of the weights preprocesses it."""

import numpy as np
from PIL import Image

from xaijax.classifier import Classifier

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


def preprocess(image: Image.Image, classifier: Classifier) -> np.ndarray:
    """Resizes the short side, with antialiasing, and crops the centre, as torchvision and timm do for evaluation.

    Args:
        image: of any size and mode, already rotated as its EXIF orientation states.
        classifier: its `resize`, `interpolation`, `input_size` and `channels` are used. With `resize=None` the whole
            image is resized to `input_size`, whatever its aspect ratio.

    Returns:
        `[H, W, C]` uint8 in [0, 255], with `(H, W) == classifier.input_size`; smaller images are padded with black.

    Raises:
        ValueError: Pillow has no mode with that many channels.
    """
    if classifier.channels not in _MODES:
        raise ValueError(
            f"a classifier of {classifier.channels} channels cannot read image files, which have 1, 3 or 4; pass it "
            "arrays [B, H, W, C]."
        )
    mode = _MODES[classifier.channels]
    image = image if image.mode == mode else image.convert(mode)
    height, width = classifier.input_size
    size = (width, height) if classifier.resize is None else resized(image.size, classifier.resize)
    if image.size != size:
        image = image.resize(size, _FILTERS[classifier.interpolation])
    return centre_crop(np.asarray(image).reshape(size[1], size[0], classifier.channels), (height, width))


def resized(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Returns width and height in pixels, scaled so that the shorter is `short`; the longer is rounded down."""
    width, height = size
    if width <= height:
        return short, max(1, int(short * height / width))
    return max(1, int(short * width / height)), short


def centre_crop(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the central crop of `size` (height, width) of `[H, W, C]`, padded with zeros where the image is smaller.

    Half pixels are rounded to even, as in torchvision.
    """
    missing = [max(wanted - given, 0) for wanted, given in zip(size, pixels.shape[:2], strict=True)]
    pixels = np.pad(pixels, (*((count // 2, count - count // 2) for count in missing), (0, 0)))
    top, left = (round((given - wanted) / 2) for wanted, given in zip(size, pixels.shape[:2], strict=True))
    return np.ascontiguousarray(pixels[top : top + size[0], left : left + size[1]])


def crop_box(size: tuple[int, int], classifier: Classifier) -> Box:
    """Returns the part of a photograph that `preprocess` shows to the classifier.

    Args:
        size: width and height of the photograph in pixels.
        classifier: as for `preprocess`.

    Returns:
        Left, top, right and bottom in pixels of the photograph, rounded; they lie outside it where the crop is padded.
    """
    height, width = classifier.input_size
    if classifier.resize is None:
        return 0, 0, size[0], size[1]
    shown = resized(size, classifier.resize)
    scale_x, scale_y = size[0] / shown[0], size[1] / shown[1]
    left, top = round((shown[0] - width) / 2), round((shown[1] - height) / 2)
    return round(left * scale_x), round(top * scale_y), round((left + width) * scale_x), round((top + height) * scale_y)
