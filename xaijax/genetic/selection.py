"""Selection: who becomes a parent."""

import jax
import jax.numpy as jnp


def tournament(key: jax.Array, fitness: jax.Array, *, size: int, count: int) -> jax.Array:
    """Draws parents, each the fittest of `size` individuals drawn with replacement.

    Args:
        key: consumed.
        fitness: `[P]`, higher is better; -inf never wins against a finite one.
        size: individuals a tournament, at least 1.
        count: parents to draw.

    Returns:
        `[count]` int32, indices into the population.

    References:
        Miller and Goldberg, Genetic Algorithms, Tournament Selection, and the Effects of Noise (1995).
    """
    draws = jax.random.uniform(key, (count * size,)).reshape(count, size)
    contestants = jnp.floor(draws * fitness.shape[0]).astype(jnp.int32)
    return contestants[jnp.arange(count), jnp.argmax(fitness[contestants], axis=1)]
