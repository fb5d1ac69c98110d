"""What pixels speak for, from masks of any shape: the answers where they are kept against those where they are not."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from xaijax.evaluation import BothSides
from xaijax.fitness import Response

CHUNK = 32
"""Masks that are painted at once."""


def both_responses(values: Any) -> tuple[Response, Response, jax.Array]:
    """Returns the responses to masks and to their inverses, and whether an inverse was looked at: `[E]` each.

    Args:
        values: what was read of masks, with a field `response`, or `BothSides` of it.
    """
    if isinstance(values, BothSides):
        return values.mask.response, values.inverse.response, values.is_inverted
    return values.response, values.response, jnp.zeros(values.response.area.shape, jnp.bool_)


def pixel_evidence(
    decode: Callable[[jax.Array], jax.Array], genomes: jax.Array, values: Any, known: jax.Array
) -> jax.Array:
    """Returns the mean log-odds of what keeps a pixel less that of what does not, over masks and their inverses.

    Args:
        decode: genome to mask `[H, W]` bool, of one image.
        genomes: `[E, W]` uint32, the masks that were evaluated.
        values: `[E]`, see `both_responses`.
        known: `[E]` bool, which of them count; an answer that is not finite never does.

    Returns:
        `[H, W]` float32, in log-odds; 0 where all or none keep the pixel.

    References:
        Petsiuk, Das and Saenko, RISE: Randomized Input Sampling for Explanation (2018), arXiv 1806.07421, whose mean
        over the masks that keep a pixel this is, less that over the others.
    """
    mask, inverse, is_inverted = both_responses(values)
    counts = known & jnp.isfinite(mask.log_odds)
    also = known & is_inverted & jnp.isfinite(inverse.log_odds)
    columns = (jnp.where(counts, mask.log_odds, 0), counts, jnp.where(also, inverse.log_odds, 0), also)
    weights = jnp.stack([column.astype(jnp.float32) for column in columns], axis=1)  # [E, 4]
    short = -len(genomes) % CHUNK
    chunks = jax.tree.map(
        lambda leaf: jnp.pad(leaf, ((0, short), (0, 0))).reshape(-1, CHUNK, leaf.shape[1]), (genomes, weights)
    )

    def add(total: jax.Array, chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        some, weight = chunk
        masks = jax.vmap(decode)(some).astype(jnp.float32)
        return total + jnp.einsum("ek,ehw->khw", weight, masks, precision=jax.lax.Precision.HIGHEST), None

    shape = jax.eval_shape(decode, genomes[0]).shape
    of_kept, _ = jax.lax.scan(add, jnp.zeros((4, *shape), jnp.float32), chunks)
    in_all = jnp.sum(weights, axis=0)[:, None, None]
    # A pixel is kept by the masks that cover it and by the inverses of those that do not.
    kept, kept_count = (of_kept[i] + in_all[i + 2] - of_kept[i + 2] for i in (0, 1))
    left, left_count = (in_all[i] - of_kept[i] + of_kept[i + 2] for i in (0, 1))
    apart = kept / jnp.maximum(kept_count, 1) - left / jnp.maximum(left_count, 1)
    return jnp.where((kept_count > 0) & (left_count > 0), apart, 0)
