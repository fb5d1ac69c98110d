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
        The next population `[P, ...]` and its fitness, the fittest first; of equals, a parent comes first. Twins of
        others come last, with a fitness of -inf: a population of copies would have nothing to recombine.
    """
    chex.assert_equal_shape_prefix([population, fitness], 1)
    chex.assert_equal_shape_prefix([children, child_fitness], 1)
    chosen = jax.lax.top_k(preference(fitness), elites)[1]
    pool = jnp.concatenate([population[chosen], children])
    pool_fitness = jnp.concatenate([fitness[chosen], child_fitness])
    # Twins are set apart before anything is ordered: beside its twin an individual of a front would look crowded.
    pool_fitness = _without_twins(pool, pool_fitness)
    survivors = jax.lax.top_k(preference(pool_fitness), len(fitness))[1]
    return pool[survivors], pool_fitness[survivors]


def _without_twins(pool: jax.Array, fitness: jax.Array) -> jax.Array:
    """Returns the fitness, -inf for individuals whose genome an earlier one that was evaluated has too."""
    table, objectives = (each.reshape(len(pool), -1) for each in (pool, fitness))
    same = jnp.all(table[:, None] == table[None], axis=2)
    evaluated = jnp.all(objectives > -jnp.inf, axis=1)
    index = jnp.arange(len(pool), dtype=jnp.int32)
    is_twin = jnp.any(same & evaluated[None] & (index[None] < index[:, None]), axis=1)
    return jnp.where(is_twin[:, None], -jnp.inf, objectives).reshape(fitness.shape)
