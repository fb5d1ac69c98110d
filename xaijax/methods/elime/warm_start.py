"""The start of a search that the user gives: masks, or a heat map and its nested masks."""

import jax
import jax.numpy as jnp

from xaijax.genetic.bit_genome import pack
from xaijax.masks.ranked import ranks
from xaijax.masks.superpixels import segment_means


def start_genomes(start: jax.Array, segments: jax.Array, *, count: int, max_segments: int) -> jax.Array:
    """Turns a start into genomes over segments.

    Args:
        start: `[H, W]` float32, a heat map, or `[M, H, W]` bool, masks.
        segments: `[H, W]` int32 in [0, max_segments), without gaps.
        count: maximum number of genomes. A heat map gives this many nested masks, which keep from one to all but one of
            its hottest segments; of more masks, the first ones are taken.
        max_segments: S.

    Returns:
        `[N, ceil(S / 32)]` uint32, N at most `count`. A genome keeps the segments that its mask covers
        by at least half.
    """
    maps = start[None] if start.ndim == 2 else start[:count]
    means = segment_means(
        jnp.moveaxis(maps.astype(jnp.float32), 0, -1), segments, max_segments=max_segments
    ).T  # [M or 1, S]
    if start.ndim == 3:
        return pack(means >= 0.5)
    length = jnp.max(segments) + 1
    present = jnp.arange(max_segments) < length
    rank = ranks(jnp.where(present, means[0], -jnp.inf))
    steps = jnp.arange(count, dtype=jnp.int32) * jnp.maximum(length - 2, 0) // max(count - 1, 1)
    return pack((rank[None] <= steps[:, None]) & present[None])
