"""Segmentation into a regular grid."""

import dataclasses

import jax
import jax.numpy as jnp

from xaijax.options import Options, option


@dataclasses.dataclass(frozen=True)
class Grid(Options):
    """Cuts every image into equal rectangles.

    Attributes:
        rows: rectangles from top to bottom, at least 1; at most the image's rows are used.
        columns: rectangles from left to right, at least 1; at most the image's columns are used.
    """

    rows: int = option(8, at_least=1)
    columns: int = option(8, at_least=1)

    def label_bound(self, height: int, width: int) -> int:
        """Returns an exclusive upper bound of the labels."""
        return min(self.rows, height) * min(self.columns, width)

    def __call__(self, image: jax.Array) -> jax.Array:
        """Labels one image `[H, W, C]`; returns `[H, W]` int32."""
        height, width = image.shape[:2]
        rows, columns = min(self.rows, height), min(self.columns, width)
        row = jnp.arange(height, dtype=jnp.int32) * rows // height
        column = jnp.arange(width, dtype=jnp.int32) * columns // width
        return row[:, None] * columns + column[None, :]
