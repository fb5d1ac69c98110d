"""Squares to pixels: the mask that is their union, and the summed weight of the squares that cover each pixel."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

COLUMNS_PER_WORD = 32  # columns in a word

Squares = tuple[jax.Array, jax.Array, jax.Array]
"""Rows and columns of the centres, and radii, in pixels, `[N]` int32 each; radius r is `2 r + 1` pixels wide."""

Edge = Callable[[jax.Array, jax.Array], jax.Array]
"""`edge(centre, radius)` returns the first row or column `[N]` int32 that a square covers; below 0 is outside."""


def clamped(centre: jax.Array, radius: jax.Array) -> jax.Array:
    """Clips a square at the border of the image."""
    return centre - radius


def reflected(centre: jax.Array, radius: jax.Array) -> jax.Array:
    """Reflects a square's first row or column at the border, as the notebook of Evolving Binary Masks does."""
    return jnp.minimum(centre, jnp.abs(centre - radius))


EDGES: dict[str, Edge] = {"clamped": clamped, "reflected": reflected}


def paint(squares: Squares, used: jax.Array, *, height: int, width: int, edge: Edge = clamped) -> jax.Array:
    """Paints the union of squares, row by row, as the bitwise or of packed words of the columns that each covers.

    Args:
        squares: N of them.
        used: `[N]` bool, which of them to paint.
        height: of the image in pixels.
        width: of the image in pixels.
        edge: how a square is treated at the border.

    Returns:
        `[H, W]` bool, True where kept.
    """
    chex.assert_equal_shape([*squares, used])
    words = -(-width // COLUMNS_PER_WORD)
    rows, columns = _spans(squares, height, words * COLUMNS_PER_WORD, edge)
    shifts = jnp.arange(COLUMNS_PER_WORD, dtype=jnp.uint32)[None, None]
    bits = (columns & used[:, None]).reshape(-1, words, COLUMNS_PER_WORD).astype(jnp.uint32)
    packed = jnp.sum(jnp.left_shift(bits, shifts), axis=2, dtype=jnp.uint32)
    chosen = jnp.where(rows[:, :, None], packed[:, None], jnp.uint32(0))  # [N, H, words]
    union = jax.lax.reduce(chosen, jnp.uint32(0), jax.lax.bitwise_or, (0,))
    unpacked = jnp.right_shift(union[..., None], shifts) & jnp.uint32(1)
    return unpacked.reshape(height, -1)[:, :width].astype(jnp.bool_)


def cover(squares: Squares, weights: jax.Array, *, height: int, width: int, edge: Edge = clamped) -> jax.Array:
    """Sums the weights `[N]` float32 of the squares that cover each pixel, `[H, W]` float32; see `paint`."""
    chex.assert_equal_shape([*squares, weights])
    rows, columns = _spans(squares, height, width, edge)
    weighted = rows.astype(jnp.float32) * weights[:, None]
    return jnp.matmul(weighted.T, columns.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST)


def borders(squares: Squares, *, edge: Edge) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Returns the first row, first column, last row and last column that each square covers, `[N]` int32 each.

    They may lie outside the image.
    """
    row, column, radius = squares
    return edge(row, radius), edge(column, radius), row + radius, column + radius


def _spans(squares: Squares, height: int, width: int, edge: Edge) -> tuple[jax.Array, jax.Array]:
    """Returns which rows `[N, H]` and which columns `[N, W]` each square covers, bool."""
    first_row, first_column, last_row, last_column = (side[:, None] for side in borders(squares, edge=edge))
    row, column = jnp.arange(height, dtype=jnp.int32)[None], jnp.arange(width, dtype=jnp.int32)[None]
    return (row >= first_row) & (row <= last_row), (column >= first_column) & (column <= last_column)
