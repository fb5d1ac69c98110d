"""Selection: which individuals become parents."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from xaijax import threefry

Selection = Callable[..., jax.Array]
"""`select(key, fitness, count=) -> indices`, options bound."""


def tournament(key: jax.Array, fitness: jax.Array, *, size: int, count: int) -> jax.Array:
    """Draws parents, each the fittest of `size` individuals drawn with replacement.

    Args:
        key: consumed.
        fitness: `[P]`, higher is better; -inf never wins against a finite one.
        size: individuals per tournament, at least 1.
        count: parents to draw.

    Returns:
        `[count]` int32, indices into the population.

    References:
        Miller and Goldberg, Genetic Algorithms, Tournament Selection, and the Effects of Noise (1995).
    """
    chex.assert_rank(fitness, 1)
    draws = threefry.uniform(key, count * size).reshape(count, size)
    contestants = jnp.floor(draws * fitness.shape[0]).astype(jnp.int32)
    return contestants[jnp.arange(count), jnp.argmax(fitness[contestants], axis=1)]


def stochastic_universal_sampling(key: jax.Array, fitness: jax.Array, *, pressure: float, count: int) -> jax.Array:
    """Draws parents by rank, each as often as expected, rounded up or down.

    The expected number of draws falls linearly from `pressure` times the mean for the fittest to `2 - pressure` times
    for the least fit; of equals, the one of lower index ranks higher.

    Args:
        key: consumed.
        fitness: `[P]`, higher is better.
        pressure: selection pressure, from 1 (uniform) to 2.
        count: parents to draw.

    Returns:
        `[count]` int32, indices into the population, shuffled.

    References:
        Baker, Reducing Bias and Inefficiency in the Selection Algorithm (1987).
    """
    chex.assert_rank(fitness, 1)
    size = fitness.shape[0]
    offset_key, shuffle_key = threefry.split(key)
    order = jnp.argsort(fitness, stable=True, descending=True)
    index = jnp.arange(size, dtype=jnp.float32)
    share = (pressure - 2 * (pressure - 1) * index / max(size - 1, 1)) / size
    pointers = (jnp.arange(count, dtype=jnp.float32) + threefry.uniform(offset_key, 1)) / count
    chosen = jnp.searchsorted(jnp.cumsum(share), pointers, side="right")
    drawn = order[jnp.minimum(chosen, size - 1)].astype(jnp.int32)
    return drawn[jnp.argsort(threefry.uniform(shuffle_key, count))]
