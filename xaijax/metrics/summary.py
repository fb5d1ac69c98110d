"""The mean of a metric over images, with a confidence interval."""

import dataclasses
from typing import Any

import numpy as np

from xaijax.metrics.shapes import check_shapes

RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class Summary:
    """The mean of a metric over images.

    Attributes:
        mean: over the images.
        low: lower end of its 95% interval.
        high: upper end of its 95% interval.
        images: number of images.
    """

    mean: float
    low: float
    high: float
    images: int


def summarise(values: Any, *, seed: int = 0) -> Summary:
    """Returns the mean of a metric with a 95% interval, by the percentiles of a bootstrap over images.

    Args:
        values: `[B]`, one per image; NaN, where the metric is undefined, is left out.
        seed: of the bootstrap.

    Returns:
        The summary; NaN figures if there is no image.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993).
    """
    check_shapes(values=(values, "B"))
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    if not len(values):
        return Summary(np.nan, np.nan, np.nan, 0)
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Summary(float(values.mean()), float(low), float(high), len(values))
