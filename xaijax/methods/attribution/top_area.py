"""Masks that keep the pixels or segments of highest score."""

import jax
import jax.numpy as jnp

from xaijax.masks import ranked
from xaijax.methods.attribution.plan import Attribution


def keep_pixels(score: jax.Array, area: float) -> Attribution:
    """Keeps the pixels of highest score: a share `area` of all, but at least one and never all."""
    count = min(max(round(area * score.size), 1), score.size - 1)
    return Attribution(
        score=score, segment_score=None, ranks=ranked.ranks(score), counts=jnp.full((1,), count, jnp.int32)
    )


def rank_segments(order: jax.Array, segments: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Ranks pixels segment by segment.

    Args:
        order: `[S]` float32; segments of higher value come first.
        segments: `[H, W]` int32 in [0, S).

    Returns:
        Ranks `[H, W]` int32, and the number of pixels `[S]` int32 in the first segment, in the first two, and so on.
        Segments without pixels come last.
    """
    sizes = jnp.zeros(order.shape, jnp.int32).at[segments.reshape(-1)].add(1)
    rank = ranked.ranks(jnp.where(sizes > 0, order, -jnp.inf))
    pixels = jnp.cumsum(jnp.zeros_like(sizes).at[rank].set(sizes), dtype=jnp.int32)
    return ranked.ranks(-rank[segments].astype(jnp.float32)), pixels


def keep_segments(segment_score: jax.Array, segments: jax.Array, area: float) -> Attribution:
    """Keeps the segments of highest score: as many as fit into a share `area` of the pixels, but at least one."""
    ranks, pixels = rank_segments(segment_score, segments)
    fitting = jnp.where(pixels <= int(area * segments.size), pixels, pixels[0])
    return Attribution(
        score=segment_score[segments], segment_score=segment_score, ranks=ranks, counts=jnp.max(fitting)[None]
    )
