"""Mutation: small random changes of a child."""

import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.genetic.bit_genome import GENES_PER_WORD, pack, whole


def bit_flip(key: jax.Array, genomes: jax.Array, length: jax.Array, *, flips: float) -> jax.Array:
    """Flips each gene in use with the same small probability.

    Args:
        key: consumed.
        genomes: `[P, W]` uint32.
        length: `[]` int32, genes in use.
        flips: expected flips per genome, above 0; the rate per gene is `flips / length`, so that a longer genome does
            not change more.

    Returns:
        `[P, W]` uint32.
    """
    count, words = genomes.shape
    rate = jnp.float32(flips) / jnp.maximum(length, 1).astype(jnp.float32)
    draws = threefry.uniform(key, count * words * GENES_PER_WORD).reshape(count, -1)
    flip = pack(draws < rate)
    return genomes ^ (flip & whole(length, words)[None])
