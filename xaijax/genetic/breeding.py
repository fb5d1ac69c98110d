"""Breeding: the children of a generation, made by selection, crossover and mutation.

With a preselection, a brood is bred for each child and its most promising member kept. The first children may come from
a guide instead, which reads the whole archive.
"""

from typing import Any

import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.genetic import archive as archives
from xaijax.genetic.bit_genome import with_complements
from xaijax.genetic.state import RUNNING, SearchState, Settings


def breed(settings: Settings, key: jax.Array, state: SearchState) -> tuple[jax.Array, jax.Array]:
    """Breeds a generation; a child that repeats a known genome is mutated again, a few times at most.

    Returns:
        The genomes `[P, W]`, and which individuals of the population are their parents, `[P]` bool.
    """
    parent_key, cross_key, mutation_key, guide_key = threefry.split(key, 4)
    count = -(-settings.population // 2) if settings.foldover else settings.population
    brood = 1 if settings.preselection is None else settings.brood
    with jax.named_scope("select"):
        parents = settings.selection(parent_key, settings.preference(state.fitness), count=2 * count * brood)
    check_result("selection", parents, jnp.int32, (2 * count * brood,))
    mothers, fathers = state.population[parents.reshape(2, -1)]
    children = settings.crossover(cross_key, mothers, fathers, state.space)
    check_result("crossover", children, jnp.uint32, mothers.shape)
    needed = (state.stop_reason == RUNNING) & (state.generation > settings.designed)

    def mutate(attempt: jax.Array | int, children: jax.Array) -> jax.Array:
        flip_key, repair_key = threefry.split(threefry.fold_in(mutation_key, attempt))
        mutated = settings.mutation(flip_key, children, state.space)
        check_result("mutation", mutated, jnp.uint32, children.shape)
        return settings.encoding.repair(repair_key, mutated, state.space)

    is_bred = jnp.ones((count,), jnp.bool_)
    if settings.preselection is not None:
        children = mutate(settings.retries + 1, children)
        expected = settings.preselection(state.archive, children, needed, state.context)
        expected = jnp.where(archives.is_repeat(state.archive, children), -jnp.inf, expected)
        index = jnp.argmax(expected.reshape(brood, count), axis=0) * count + jnp.arange(count)
        children, parents = children[index], parents.reshape(2, -1)[:, index].reshape(-1)
        is_bred = archives.is_repeat(state.archive, children)
    if settings.guide is not None:
        guided = settings.guide(guide_key, state.archive, state.space, needed, state.context)[:count]
        children = jnp.concatenate([guided, children[len(guided) :]])
        is_bred &= jnp.arange(count) >= len(guided)

    def mutate_chosen(attempt: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        children, chosen = carry
        children = jnp.where(chosen[:, None], mutate(attempt, children), children)
        return children, archives.is_repeat(state.archive, children)

    children = jax.lax.fori_loop(0, settings.retries + 1, mutate_chosen, (children, is_bred))[0]
    if settings.foldover:
        children = with_complements(children, state.space)[: settings.population]
    return children, jnp.zeros((settings.population,), jnp.bool_).at[parents].set(True)


def check_result(operator: str, result: jax.Array, dtype: Any, shape: tuple[int, ...]) -> None:
    """Raises ValueError where an operator, which may be the user's, returned something else than it must."""
    if result.dtype != dtype or result.shape != shape:
        raise ValueError(
            f"{operator} returned {result.dtype} of shape {result.shape} but must return {jnp.dtype(dtype)} of shape "
            f"{shape}."
        )
