"""Breeding: the children of a generation, by selection, crossover, mutation, and a guide if there is one."""

import jax
import jax.numpy as jnp

from xaijax.genetic import archive as archives
from xaijax.genetic.genome import with_complements
from xaijax.genetic.state import RUNNING, SearchState, Settings


def breed(settings: Settings, key: jax.Array, state: SearchState) -> tuple[jax.Array, jax.Array]:
    """Makes a generation; a child that repeats a known genome is mutated, a few times at most.

    Returns:
        The genomes `[P, W]`, and who of the population bred them `[P]` bool.
    """
    parent_key, cross_key, mutation_key, guide_key = jax.random.split(key, 4)
    count = -(-settings.population // 2) if settings.foldover else settings.population
    parents = settings.selection(parent_key, settings.preference(state.fitness), count=2 * count)
    mothers, fathers = state.population[parents.reshape(2, -1)]
    children = settings.crossover(cross_key, mothers, fathers, state.space)
    bred = jnp.ones((count,), jnp.bool_)
    if settings.guide is not None:
        needed = (state.ended == RUNNING) & (state.generation > settings.designed)
        guided = settings.guide(guide_key, state.archive, state.space, needed, state.context)[:count]
        children = jnp.concatenate([guided, children[len(guided) :]])
        bred = jnp.arange(count) >= len(guided)

    def mutate(attempt: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        children, chosen = carry
        flip_key, repair_key = jax.random.split(jax.random.fold_in(mutation_key, attempt))
        mutated = settings.mutation(flip_key, children, state.space)
        changed = settings.encoding.repair(repair_key, mutated, state.space)
        children = jnp.where(chosen[:, None], changed, children)
        return children, archives.is_repeat(state.archive, children)

    children = jax.lax.fori_loop(0, settings.retries + 1, mutate, (children, bred))[0]
    if settings.foldover:
        children = with_complements(children, state.space)[: settings.population]
    return children, jnp.zeros((settings.population,), jnp.bool_).at[parents].set(True)
