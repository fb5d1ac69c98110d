"""The photographs of a benchmark."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xaijax import Classifier
from xaijax.models.preprocessing import preprocess
from xaijax.runtime.reading import find_images, read_image


def choose_photographs(images: Sequence[Path], count: int) -> list[Path]:
    """Returns at most `count` evenly spaced ones of the images in files and folders."""
    paths = find_images(images)
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[place] for place in places]


def read_photographs(paths: Sequence[Path], classifier: Classifier) -> np.ndarray:
    """Returns photographs as the classifier wants them, `[B, H, W, C]` uint8."""
    return np.stack([preprocess(read_image(path), classifier) for path in paths])
