"""Survival: who of the parents and the children makes the next population."""

import jax
import jax.numpy as jnp


def generational(
    population: jax.Array, fitness: jax.Array, children: jax.Array, child_fitness: jax.Array, *, elites: int
) -> tuple[jax.Array, jax.Array]:
    """Keeps the fittest children and the `elites` fittest parents, where those beat the weakest children.

    Args:
        population: `[P, ...]`.
        fitness: `[P]`, higher is better.
        children: `[P, ...]`.
        child_fitness: `[P]`.
        elites: parents that may stay, 0 to P.

    Returns:
        The next population `[P, ...]` and its fitness `[P]`, the fittest first; of equals, a parent stays.
    """
    best, chosen = jax.lax.top_k(fitness, elites)
    pool = jnp.concatenate([population[chosen], children])
    pool_fitness = jnp.concatenate([best, child_fitness])
    survivors_fitness, survivors = jax.lax.top_k(pool_fitness, len(fitness))
    return pool[survivors], survivors_fitness
