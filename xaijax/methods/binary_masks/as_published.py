"""Operators with the arithmetic of the notebook of Evolving Binary Masks, where this differs from the method's text.

In the notebook, the second parent is looked up by the index of the first one, so that crossover changes nothing; a
tournament finds its winner by value; squares reflect at the top and left border; masks that change the class have a
fixed fitness.

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
    """Returns the method with the notebook's operators and settings, some of which `options` may replace.

    Restarts, which the notebook does not bound, are bounded by the evaluations.
    """
    settings: dict[str, Any] = {
        "stages": STAGES,
        "population": 40,
        "evaluations": 2 + 2 * 40 * sum(stage.generations or 0 for stage in STAGES),
        "selection": SELECTION,
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
    """Draws mothers: each is the first of the population with the best fitness of a tournament. Fathers are the same.

    Args:
        key: consumed.
        fitness: `[P]`, higher is better.
        size: individuals per tournament, drawn with replacement.
        count: parents to draw, an even number: the mothers, then the fathers.

    Returns:
        `[count]` int32, indices into the population.
    """
    draws = threefry.uniform(key, count // 2 * size).reshape(count // 2, size)
    contestants = jnp.floor(draws * fitness.shape[0]).astype(jnp.int32)
    best = jnp.max(fitness[contestants], axis=1)
    mothers = jnp.argmax(fitness[None] == best[:, None], axis=1).astype(jnp.int32)
    return jnp.concatenate([mothers, mothers])


SELECTION = functools.partial(tournament_by_value, size=4)
"""The same object for all methods: a partial function equals only itself, and methods share programs if equal."""


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
    """Keeps all children but the worst, which the fittest of their parents replaces.

    The arguments are those of `xaijax.genetic.survival.generational`; `elites` has no effect.

    Returns:
        The next population `[P, ...]` and its fitness, the fittest first; equals are in the order of the children.
    """
    order, child_order = preference(fitness), preference(child_fitness)
    best = jnp.argmax(jnp.where(parents, order, -jnp.inf))
    is_replaced = (jnp.arange(len(children)) == jnp.argmin(child_order)) & jnp.any(parents)
    stays = is_replaced.reshape(-1, *(1,) * (children.ndim - 1))
    pool = jnp.where(stays, population[best][None], children)
    pool_fitness = jnp.where(is_replaced.reshape(-1, *(1,) * (fitness.ndim - 1)), fitness[best][None], child_fitness)
    survivors = jax.lax.top_k(preference(pool_fitness), len(fitness))[1]
    return pool[survivors], pool_fitness[survivors]
