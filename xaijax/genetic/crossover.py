"""Crossover: each gene of a child comes from one of two parents. The operators work on packed genomes."""

import chex
import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.genetic.bit_genome import GENES_PER_WORD, pack


def uniform(key: jax.Array, mothers: jax.Array, fathers: jax.Array, length: jax.Array) -> jax.Array:
    """Takes each gene from either parent with equal chance.

    Args:
        key: consumed.
        mothers: `[P, W]` uint32.
        fathers: `[P, W]` uint32.
        length: `[]` int32, genes in use.

    Returns:
        `[P, W]` uint32, the children.

    References:
        Syswerda, Uniform Crossover in Genetic Algorithms (1989).
    """
    return _blend(mothers, fathers, threefry.bits(key, mothers.size).reshape(mothers.shape))


def one_point(key: jax.Array, mothers: jax.Array, fathers: jax.Array, length: jax.Array) -> jax.Array:
    """Takes the genes before a random cut, 1 to length - 1, from the mother and the rest from the father.

    The arguments and the result are those of `uniform`.

    References:
        Holland, Adaptation in Natural and Artificial Systems (1975).
    """
    draws = threefry.uniform(key, mothers.shape[0])
    cut = 1 + jnp.floor(draws * (length - 1).astype(jnp.float32)).astype(jnp.int32)
    return _blend(mothers, fathers, _prefix(cut, mothers.shape[1]))


def two_point(key: jax.Array, mothers: jax.Array, fathers: jax.Array, length: jax.Array) -> jax.Array:
    """Takes the genes between two random cuts, 0 to length, from the father and the rest from the mother.

    The arguments and the result are those of `uniform`.

    References:
        De Jong, An Analysis of the Behavior of a Class of Genetic Adaptive Systems (1975).
    """
    draws = threefry.uniform(key, 2 * mothers.shape[0]).reshape(2, -1)
    cuts = jnp.floor(draws * (length + 1).astype(jnp.float32)).astype(jnp.int32)
    between = _prefix(cuts[0], mothers.shape[1]) ^ _prefix(cuts[1], mothers.shape[1])
    return _blend(fathers, mothers, between)


CROSSOVERS = {"uniform": uniform, "one-point": one_point, "two-point": two_point}


def _prefix(cut: jax.Array, words: int) -> jax.Array:
    """Returns genomes `[P, W]` whose genes before `cut` `[P]` are set."""
    return pack(jnp.arange(words * GENES_PER_WORD)[None] < cut[:, None])


def _blend(first: jax.Array, second: jax.Array, from_first: jax.Array) -> jax.Array:
    chex.assert_rank(first, 2)
    chex.assert_equal_shape([first, second, from_first])
    return (first & from_first) | (second & ~from_first)
