"""Agreement of masks, corrected for the overlap of random masks of the same areas."""

import itertools
from typing import Any

import numpy as np


def overlap_above_chance(masks: Any) -> np.ndarray:
    """Returns the mean pairwise overlap of the masks that several seeds give an image, corrected for chance.

    For each pair of seeds it is (IoU - expected) / (1 - expected), where the expected intersection over union of random
    masks of areas a and b is a b / (a + b - a b).

    Args:
        masks: `[R, B, H, W]` bool, for at least two seeds.

    Returns:
        `[B]` float64, the mean over the pairs: 1 for equal masks, around 0 for random ones, below 0 for masks that
        avoid each other. A pair of empty or of full masks counts as 0, agreement by chance.

    Raises:
        ValueError: there are fewer than two seeds, or the masks are not `[R, B, H, W]`.
    """
    masks = np.asarray(masks, bool)
    if masks.ndim != 4:
        raise ValueError(f"the shape of masks is {masks.shape} but must be [R, B, H, W], R for the seeds.")
    if len(masks) < 2:
        raise ValueError(f"masks of {len(masks)} seed were given; agreement needs at least two.")
    areas = masks.mean(axis=(2, 3))
    agreements = []
    for first, second in itertools.combinations(range(len(masks)), 2):
        both = np.mean(masks[first] & masks[second], axis=(1, 2))
        product, total = areas[first] * areas[second], areas[first] + areas[second]
        # (both / either - product / (total - product)) / (1 - ...), with the denominators multiplied out.
        above = both * (total - product) - product * (total - both)
        room = (total - both) * (total - 2 * product)
        agreements.append(np.divide(above, room, out=np.zeros(len(above)), where=room > 1e-12))
    return np.mean(agreements, axis=0)
