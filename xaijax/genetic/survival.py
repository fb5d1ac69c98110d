"""Survival: which parents and children make up the next population."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

Preference = Callable[[jax.Array], jax.Array]
"""Maps the fitness of individuals, `[N]` or `[N, M]`, to `[N]` numbers that order them, higher is better."""


Survival = Callable[..., tuple[jax.Array, jax.Array]]
"""A function with the arguments and results of `generational`."""


def by_fitness(fitness: jax.Array) -> jax.Array:
    """The preference of a search with a single objective: the fitness `[N]` itself."""
    return fitness


def generational(
    population: jax.Array,
    fitness: jax.Array,
    children: jax.Array,
    child_fitness: jax.Array,
    parents: jax.Array,
    *,
    elites: int,
    preference: Preference = by_fitness,
) -> tuple[jax.Array, jax.Array]:
    """Keeps the fittest children, and those of the `elites` fittest parents that beat the weakest children.

    With as many elites as parents this is the (mu + lambda) survival of NSGA-II.

    Args:
        population: `[P, ...]`.
        fitness: `[P]`, higher is better, or `[P, M]` objectives.
        children: `[P, ...]`.
        child_fitness: as `fitness`.
        parents: `[P]` bool, which of the population are parents of the children; not used here.
        elites: parents that may stay, 0 to P.
        preference: orders individuals by their fitness.

    Returns:
        The next population `[P, ...]` and its fitness, the fittest first; of equals, a parent comes first. Duplicates
        come last: a population of copies would have nothing to recombine.
    """
    chex.assert_equal_shape_prefix([population, fitness], 1)
    chex.assert_equal_shape_prefix([children, child_fitness], 1)
    chosen = jax.lax.top_k(preference(fitness), elites)[1]
    pool = jnp.concatenate([population[chosen], children])
    pool_fitness = jnp.concatenate([fitness[chosen], child_fitness])
    order = preference(pool_fitness)
    order = jnp.where(_is_duplicate(pool, order > -jnp.inf), -jnp.inf, order)
    survivors = jax.lax.top_k(order, len(fitness))[1]
    return pool[survivors], pool_fitness[survivors]


def _is_duplicate(pool: jax.Array, evaluated: jax.Array) -> jax.Array:
    """Returns `[N]` bool: whether an earlier individual that was evaluated has the same genome."""
    table = pool.reshape(len(pool), -1)
    same = jnp.all(table[:, None] == table[None], axis=2)
    index = jnp.arange(len(pool), dtype=jnp.int32)
    return jnp.any(same & evaluated[None] & (index[None] < index[:, None]), axis=1)
