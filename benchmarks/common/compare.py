"""Differences of quality: paired by image, with a 95% interval, and in words."""

from collections.abc import Mapping

import numpy as np

from benchmarks.common.record import told

NO_DIFFERENCE = "no difference seen"

FEWEST = 5
"""Images that a verdict needs: the interval of fewer says too little."""

Values = Mapping[str, float]
"""A figure of each image."""


def less(one: Values, other: Values) -> dict[str, float]:
    """Returns `one` less `other`, of the images of both."""
    return {image: one[image] - other[image] for image in one if image in other}


def mean_of(values: Values) -> list[float] | None:
    """Returns the mean over images and its interval; None where there is no image."""
    return told(np.array(list(values.values()))) if values else None


def verdict(difference: list[float] | None, sign: int, images: int = FEWEST) -> str:
    """Returns what a difference says where more (1) or less (-1) is better.

    Args:
        difference: the mean, and the ends of its interval.
        sign: 1 or -1.
        images: that it is the mean of.
    """
    if difference is None or images < FEWEST:
        return "too few images"
    low, high = sorted(sign * end for end in difference[1:])
    return "better" if low > 0 else "worse" if high < 0 else NO_DIFFERENCE
