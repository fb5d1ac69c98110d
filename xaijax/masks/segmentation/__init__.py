"""Segmentations: from images to integer label maps, on the device."""

from typing import Protocol

import jax

from xaijax.masks.segmentation.grid import Grid
from xaijax.masks.segmentation.quickshift import Quickshift
from xaijax.masks.segmentation.slic import SLIC

__all__ = ["SEGMENTATIONS", "SLIC", "Grid", "Quickshift", "Segmentation", "make_segmentation"]


class Segmentation(Protocol):
    """Labels the pixels of one image; hashable, traceable, and batched with `vmap`."""

    def label_bound(self, height: int, width: int) -> int:
        """Returns an exclusive upper bound of the labels of an image of this size."""
        ...

    def __call__(self, image: jax.Array) -> jax.Array:
        """Labels one image `[H, W, C]` float32 in [0, 1]; returns `[H, W]` int32 in [0, label_bound)."""
        ...


SEGMENTATIONS: dict[str, Segmentation] = {"quickshift": Quickshift(), "slic": SLIC(), "grid": Grid()}


def make_segmentation(segmentation: Segmentation | str) -> Segmentation:
    """Returns the segmentation that a name stands for; raises ValueError for an unknown name, and for what is none."""
    if not isinstance(segmentation, str):
        is_one = callable(segmentation) and callable(getattr(segmentation, "label_bound", None))
        if not is_one or segmentation.__hash__ is None:
            raise ValueError(
                f"segmentation is {segmentation!r} but must be Quickshift(), SLIC(), Grid(), one of their names, or "
                "hashable with the methods of `xaijax.masks.segmentation.Segmentation`."
            )
        return segmentation
    if segmentation not in SEGMENTATIONS:
        raise ValueError(f"segmentation {segmentation!r} is unknown; choose one of {', '.join(SEGMENTATIONS)}.")
    return SEGMENTATIONS[segmentation]
