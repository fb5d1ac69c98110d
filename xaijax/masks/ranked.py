"""Masks that keep the pixels of highest score, given the rank of each pixel and how many to keep."""

import jax
import jax.numpy as jnp


def ranks(score: jax.Array) -> jax.Array:
    """Returns the rank of each pixel, or segment, by falling score, ties in raster order.

    Args:
        score: `[H, W]` or `[S]` float32.

    Returns:
        int32 of the same shape, a permutation of 0 to `score.size - 1`; 0 is the rank of the highest score.
    """
    order = jnp.argsort(score.reshape(-1), stable=True, descending=True)
    ranks = jnp.arange(score.size, dtype=jnp.int32)
    return jnp.zeros((score.size,), jnp.int32).at[order].set(ranks, unique_indices=True).reshape(score.shape)


def decode(ranks: jax.Array, genome: jax.Array) -> jax.Array:
    """Returns the mask that keeps the pixels of lowest rank.

    Args:
        ranks: `[H, W]` int32, see `ranks`.
        genome: `[1]` int32, how many pixels to keep.

    Returns:
        `[H, W]` bool, True where kept.
    """
    return ranks < genome[0]
