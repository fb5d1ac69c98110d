"""Masks over segments: decoding of genomes, sums and means over segments, and limits on their number."""

import chex
import jax
import jax.numpy as jnp

from xaijax.pairwise import running_count
from xaijax.sequential import anywhere

GENES_PER_WORD = 32  # genes in a word of a packed genome


def decode(segments: jax.Array, genome: jax.Array) -> jax.Array:
    """Returns the mask of one genome.

    Args:
        segments: `[H, W]` int32 in [0, 32 W).
        genome: `[W]` uint32, bit s keeps segment s.

    Returns:
        `[H, W]` bool, True where kept.
    """
    chex.assert_rank([segments, genome], [2, 1])
    word = jnp.broadcast_to(genome[0], segments.shape)
    for index in range(1, genome.shape[0]):
        word = jnp.where(segments >= index * GENES_PER_WORD, genome[index], word)
    shift = (segments & (GENES_PER_WORD - 1)).astype(jnp.uint32)
    return (jnp.right_shift(word, shift) & jnp.uint32(1)).astype(jnp.bool_)


def segment_sizes(segments: jax.Array, *, max_segments: int) -> jax.Array:
    """Returns the pixels per segment, `[max_segments]` float32, of labels `[H, W]` int32 in [0, max_segments)."""
    return jnp.zeros((max_segments,), jnp.float32).at[segments.reshape(-1)].add(1.0)


def segment_means(values: jax.Array, segments: jax.Array, *, max_segments: int) -> jax.Array:
    """Averages over the pixels of each segment.

    Args:
        values: `[H, W, C]` float32.
        segments: `[H, W]` int32 in [0, max_segments).
        max_segments: exclusive upper bound of the labels.

    Returns:
        `[max_segments, C]` float32, 0 for an empty segment.
    """
    chex.assert_rank([values, segments], [3, 2])
    chex.assert_equal_shape_prefix([values, segments], 2)
    pixels = values.reshape(-1, values.shape[2])
    sums = jnp.zeros((max_segments, values.shape[2]), jnp.float32).at[segments.reshape(-1)].add(pixels)
    return sums / jnp.maximum(segment_sizes(segments, max_segments=max_segments), 1)[:, None]


def segment_centres(segments: jax.Array, *, max_segments: int) -> jax.Array:
    """Returns the mean row and column of each segment, `[max_segments, 2]` float32, 0 for an empty segment."""
    height, width = segments.shape
    y, x = jnp.meshgrid(jnp.arange(height, dtype=jnp.float32), jnp.arange(width, dtype=jnp.float32), indexing="ij")
    return segment_means(jnp.stack([y, x], axis=-1), segments, max_segments=max_segments)


def area_density(values: jax.Array, sizes: jax.Array) -> jax.Array:
    """Divides the values of segments by the square root of their area relative to the mean area of a segment.

    A pixel's share falls as its segment grows; the root keeps large segments from vanishing.

    Args:
        values: `[S]` float32.
        sizes: `[S]` float32, the pixels of each segment, 0 past the last; see `segment_sizes`.

    Returns:
        `[S]` float32.
    """
    typical = jnp.sum(sizes) / jnp.sum(sizes > 0, dtype=jnp.float32)
    return values * jnp.sqrt(typical / jnp.maximum(sizes, 1))


def limit_segments(labels: jax.Array, *, max_segments: int, bound: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Renumbers the segments of a label map from 0 without gaps, and merges surplus ones.

    The `max_segments` largest segments are kept (of equals, the lower label); every other one joins the kept one with
    the nearest centre. The order of the labels is preserved.

    Args:
        labels: `[H, W]` int32 in [0, bound).
        max_segments: maximum number of segments to keep.
        bound: exclusive upper bound of the labels.

    Returns:
        `[H, W]` int32 in [0, max_segments), the number of segments `[]` int32, and whether any were merged `[]` bool.
    """
    chex.assert_rank(labels, 2)
    counts = segment_sizes(labels, max_segments=bound)
    present = counts > 0
    segment_count = jnp.sum(present, dtype=jnp.int32)
    if bound <= max_segments:
        number = running_count(present) - 1
        return number[labels], segment_count, jnp.bool_(False)
    is_merged = segment_count > max_segments
    plain = jnp.cumsum(present, dtype=jnp.int32) - 1

    def merge() -> jax.Array:
        return jnp.where(is_merged, _merged_numbers(labels, counts, max_segments=max_segments), plain)

    number = jax.lax.cond(anywhere(is_merged), merge, lambda: plain)
    return number[labels], jnp.minimum(segment_count, max_segments), is_merged


def _merged_numbers(labels: jax.Array, counts: jax.Array, *, max_segments: int) -> jax.Array:
    """Numbers the largest segments, and every other one as the kept segment with the nearest centre.

    Args:
        labels: `[H, W]` int32 in [0, L), more than `max_segments` of them.
        counts: `[L]` float32, the pixels of each.
        max_segments: K.

    Returns:
        `[L]` int32 in [0, K).
    """
    largest = jnp.sort(jax.lax.top_k(counts, max_segments)[1])  # of equals, top_k takes the lower index
    row, column = segment_centres(labels, max_segments=len(counts)).T

    def nearer(index: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        distance, nearest = carry
        other = largest[index]
        apart = (row - row[other]) ** 2 + (column - column[other]) ** 2
        is_nearer = apart < distance
        return jnp.where(is_nearer, apart, distance), jnp.where(is_nearer, index, nearest)

    # One by one: the distances of all pairs would take 128 times the memory of an image.
    start = (jnp.full(counts.shape, jnp.inf, jnp.float32), jnp.zeros(counts.shape, jnp.int32))
    nearest = jax.lax.fori_loop(0, max_segments, nearer, start)[1]
    kept = jnp.zeros(counts.shape, jnp.bool_).at[largest].set(True)
    return jnp.where(kept, jnp.cumsum(kept, dtype=jnp.int32) - 1, nearest)
