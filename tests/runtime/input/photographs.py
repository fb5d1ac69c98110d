"""The images that tests of inputs share."""

import numpy as np

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3)).astype(np.uint8)


def pixels_of(sources):
    return [np.asarray(source.read()[0]) for source in sources]


def names_of(sources):
    return [source.name for source in sources]
