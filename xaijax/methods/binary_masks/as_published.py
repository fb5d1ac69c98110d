"""The arithmetic of the notebook of Evolving Binary Masks, as operators, where it differs from what its text describes.

Its second parent is looked up by the first one's index, so that its crossover changes nothing; its tournament finds the
winner by value; its squares reflect at the top and left border; a class that changes costs a fixed fitness.

References:
    rudra-99/XAI-Evolving-Binary-Masks, the notebook.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.genetic.survival import Preference, by_fitness
from xaijax.methods.binary_masks.constraints import minus_distance
from xaijax.methods.binary_masks.method import BinaryMasks
from xaijax.methods.binary_masks.stages import Stage

STAGES = (Stage(4, (30, 35, 40), generations=10), Stage(50, (5, 8, 11), share=2.0, generations=20))
TAPS = ("stem", "block5", "block9")
"""The outputs of `features[0]`, `[5]` and `[9]` of MobileNetV3-small."""


def as_in_the_notebook(**options: Any) -> BinaryMasks:
    """Returns the method with the notebook's operators and settings; `options` replace some of these.

    The restarts, unbounded there, are bounded by the evaluations.
    """
    settings: dict[str, Any] = {
        "stages": STAGES,
        "population": 40,
        "evaluations": 2 + 2 * 40 * sum(stage.generations or 0 for stage in STAGES),
        "selection": functools.partial(tournament_by_value, size=4),
        "survival": replace_worst,
        "fitness": minus_distance,
        "taps": TAPS,
        "relative": False,
        "keep": 0.0,
        "widening": 0.0,
        "score": "matrix",
        "edge": "reflected",
        "fill": "black",
    }
    return BinaryMasks(**settings | options)


def tournament_by_value(key: jax.Array, fitness: jax.Array, *, size: int, count: int) -> jax.Array:
    """Draws mothers, each the first of the population that has the best fitness of a tournament; fathers are the same.

    Args:
        key: consumed.
        fitness: `[P]`, higher is better.
        size: individuals a tournament, drawn with replacement.
        count: parents to draw, an even number: the mothers, then the fathers.

    Returns:
        `[count]` int32, indices into the population.
    """
    draws = threefry.uniform(key, count // 2 * size).reshape(count // 2, size)
    contestants = jnp.floor(draws * fitness.shape[0]).astype(jnp.int32)
    best = jnp.max(fitness[contestants], axis=1)
    mothers = jnp.argmax(fitness[None] == best[:, None], axis=1).astype(jnp.int32)
    return jnp.concatenate([mothers, mothers])


def replace_worst(
    population: jax.Array,
    fitness: jax.Array,
    children: jax.Array,
    child_fitness: jax.Array,
    parents: jax.Array,
    *,
    elites: int,
    preference: Preference = by_fitness,
) -> tuple[jax.Array, jax.Array]:
    """Keeps the children, but for the worst, in whose place the fittest of their parents stays.

    The arguments are those of `xaijax.genetic.survival.generational`; `elites` is without effect.

    Returns:
        The next population `[P, ...]` and its fitness, the fittest first; of equals, in the order of the children.
    """
    order, child_order = preference(fitness), preference(child_fitness)
    best = jnp.argmax(jnp.where(parents, order, -jnp.inf))
    is_replaced = (jnp.arange(len(children)) == jnp.argmin(child_order)) & jnp.any(parents)
    stays = is_replaced.reshape(-1, *(1,) * (children.ndim - 1))
    pool = jnp.where(stays, population[best][None], children)
    pool_fitness = jnp.where(is_replaced.reshape(-1, *(1,) * (fitness.ndim - 1)), fitness[best][None], child_fitness)
    survivors = jax.lax.top_k(preference(pool_fitness), len(fitness))[1]
    return pool[survivors], pool_fitness[survivors]
