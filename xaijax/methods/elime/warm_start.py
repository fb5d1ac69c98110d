"""Where a search starts, if the user knows better than chance: from masks, or from a heat map's nested masks."""

import jax
import jax.numpy as jnp

from xaijax.genetic.bit_genome import pack
from xaijax.masks.ranked import ranks
from xaijax.masks.superpixels import segment_means


def start_genomes(start: jax.Array, segments: jax.Array, *, count: int, max_segments: int) -> jax.Array:
    """Returns the genomes over segments that stand for a start.

    Args:
        start: `[H, W]` float32, a heat map, or `[M, H, W]` bool, masks.
        segments: `[H, W]` int32 in [0, max_segments), without gaps.
        count: the most genomes to return. Of a heat map come as many nested masks, which keep its hottest segments, one
            to all but one; of masks the first.
        max_segments: S.

    Returns:
        `[N, ceil(S / 32)]` uint32, N at most `count`; a mask keeps the segments of which it covers at least half.
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
