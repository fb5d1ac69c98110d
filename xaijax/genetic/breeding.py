"""Breeding: the children of a generation, made by selection, crossover and mutation.

With a preselection, a brood is bred for each child and its most promising member kept. The first children may come from
a guide instead, which reads the whole archive.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax import threefry
from xaijax.genetic import archive as archives
from xaijax.genetic.bit_genome import with_complements
from xaijax.genetic.state import RUNNING, SearchState, Settings
from xaijax.sequential import anywhere


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

    # All at once, ahead of the loop over attempts.
    attempts = np.arange(settings.retries + 2)
    keys = jax.vmap(lambda attempt: threefry.split(threefry.fold_in(mutation_key, attempt)))(attempts)

    def mutate(attempt: jax.Array | int, children: jax.Array) -> jax.Array:
        flip_key, repair_key = jax.lax.dynamic_index_in_dim(keys, attempt, keepdims=False)
        mutated = settings.mutation(flip_key, children, state.space)
        check_result("mutation", mutated, jnp.uint32, children.shape)
        return settings.encoding.repair(repair_key, mutated, state.space)

    guided = jnp.zeros((0, settings.words), jnp.uint32)
    if settings.guide is not None:
        guided = settings.guide(guide_key, state.archive, state.space, needed, state.context)[:count]
    place: Any = slice(len(guided), count)  # of the children that no guide makes
    is_again = jnp.ones((count - len(guided),), jnp.bool_)
    if settings.preselection is not None and len(guided) < count:
        children = mutate(settings.retries + 1, children)

        def of_bred(leaf: jax.Array) -> jax.Array:
            return leaf.reshape(brood, count, *leaf.shape[1:])[:, place].reshape(-1, *leaf.shape[1:])

        screened = of_bred(children)
        expected = settings.preselection(state.archive, screened, needed, state.context)
        is_repeat = archives.find(state.archive, screened)[0] | of_bred(archives.is_duplicate(children))
        best = jnp.argmax(jnp.where(is_repeat, -jnp.inf, expected).reshape(brood, -1), axis=0)
        place = best * count + jnp.arange(count)[place]
        is_again = archives.is_repeat(state.archive, children[place])
    children, parents = jnp.concatenate([guided, children[place]]), parents.reshape(2, -1)[:, place].reshape(-1)
    is_bred = jnp.concatenate([jnp.zeros((len(guided),), jnp.bool_), is_again])

    def is_left(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        attempt, _, chosen = carry
        # What the guide made is looked up by the first attempt.
        return (attempt <= settings.retries) & ((attempt == 0) | anywhere(jnp.any(chosen)))

    def mutate_chosen(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        attempt, children, chosen = carry
        children = jnp.where(chosen[:, None], mutate(attempt, children), children)
        return attempt + 1, children, archives.is_repeat(state.archive, children)

    with jax.named_scope("retries"):
        _, children, _ = jax.lax.while_loop(is_left, mutate_chosen, (jnp.int32(0), children, is_bred))
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
