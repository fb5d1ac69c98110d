"""The search: `ask` proposes the genomes of a generation, `tell` learns what they are worth.

Both are written for one image and `vmap`ped over images. The first generation asks for the whole mask alone (an
explanation is measured against it), the next for the designed masks that a search starts from, every later one for
children.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from xaijax.genetic import archive as archives
from xaijax.genetic.breeding import breed
from xaijax.genetic.genome import enumerate_masks, repair, varied_density, whole
from xaijax.genetic.state import (
    ENDED,
    ENUMERATED,
    EXHAUSTED,
    REACHED,
    RUNNING,
    SPENT,
    STALLED,
    SearchState,
    Settings,
)
from xaijax.genetic.survival import generational


def init(
    settings: Settings,
    key: jax.Array,
    length: jax.Array,
    active: jax.Array,
    values: Any,
    *,
    start: jax.Array | None = None,
    context: Any = (),
) -> SearchState:
    """Returns the state before the first generation.

    Args:
        settings: of the search.
        key: consumed.
        length: `[]` int32, genes in use.
        active: `[]` bool; False for a place in the batch that holds no image.
        values: pytree of `jax.ShapeDtypeStruct`, the scalars that an evaluation returns.
        start: `[N, W]`, N at most the designed genomes, to start from in place of as many of these.
        context: pytree, what the guide needs to know of the image.
    """
    first_key, repair_key, key = jax.random.split(key, 3)
    count = settings.designed * settings.population
    drawn = varied_density(first_key, length, count=count, words=settings.words)
    if start is not None:
        drawn = jnp.concatenate([start, drawn[: count - len(start)]])
    drawn = repair(repair_key, drawn, length)
    first_population = drawn[: settings.population]
    many = jax.tree.map(lambda value: jax.ShapeDtypeStruct((settings.population, *value.shape), value.dtype), values)
    objectives = jax.eval_shape(settings.fitness, many).shape
    return SearchState(
        key=key,
        length=length,
        context=context,
        drawn=drawn,
        population=first_population,
        fitness=jnp.full(objectives, -jnp.inf, jnp.float32),
        pending=first_population,
        new=jnp.zeros((settings.population,), jnp.bool_),
        archive=archives.empty(settings.evaluations, settings.words, values),
        generation=jnp.int32(0),
        history=jnp.full((settings.generations,), jnp.nan, jnp.float32),
        best=jnp.float32(-jnp.inf),
        stalled=jnp.int32(0),
        ended=jnp.where(active, RUNNING, ENDED).astype(jnp.int32),
    )


def ask(settings: Settings, state: SearchState) -> tuple[SearchState, jax.Array]:
    """Proposes the genomes of the next generation.

    Returns:
        The state, whose `new` says which of the genomes must be evaluated (no genome is, twice), and the genomes
        `[P, W]`.
    """
    key, child_key = jax.random.split(state.key)
    size = {"count": settings.population, "words": settings.words}
    first = (state.generation - 1) * settings.population
    designed = jax.lax.dynamic_slice_in_dim(state.drawn, first, settings.population)
    evolved = jnp.where(state.generation <= settings.designed, designed, breed(settings, child_key, state))
    counted = enumerate_masks(first, state.length, **size)
    genomes = jnp.where(state.length <= settings.enumerated, counted, evolved)
    genomes = jnp.where(state.generation == 0, whole(state.length, settings.words)[None], genomes)

    running = state.ended == RUNNING
    new = ~archives.is_repeat(state.archive, genomes) & running
    new &= jnp.cumsum(new, dtype=jnp.int32) <= settings.evaluations - state.archive.count
    # An ended search stays as it is, however long its neighbours run.
    key, genomes = jax.tree.map(
        lambda after, before: jnp.where(running, after, before), (key, genomes), (state.key, state.pending)
    )
    return dataclasses.replace(state, key=key, pending=genomes, new=new), genomes


def tell(settings: Settings, state: SearchState, values: Any) -> SearchState:
    """Learns what the genomes that were asked for are worth.

    Args:
        settings: of the search.
        state: as `ask` returned it.
        values: pytree of `[P]`, what the evaluations returned; read only where `state.new`.
    """
    archive = archives.insert(state.archive, state.pending, values, state.new)
    known, index = archives.find(archive, state.pending)
    answers = jax.tree.map(lambda value: value[index], archive.values)
    fitness = _where_finite(settings.fitness(answers), known)
    survivors = generational(
        state.population,
        state.fitness,
        state.pending,
        fitness,
        elites=settings.elites,
        preference=settings.preference,
    )
    is_whole = state.generation == 0
    population, fitness = jax.tree.map(
        lambda after, before: jnp.where(is_whole, before, after), survivors, (state.population, state.fitness)
    )
    # The slot that the whole mask's generation would take lies outside the history and is dropped.
    slot = jnp.where(is_whole, settings.generations, state.generation - 1)
    quality = settings.quality(fitness)
    gains = (state.generation <= settings.designed) | (quality > state.best)
    stalled = jnp.where(gains, 0, state.stalled + 1)
    masks = jnp.left_shift(jnp.int32(1), jnp.clip(state.length, 0, ENUMERATED + 1)) - 2
    exhausted = (state.length <= settings.enumerated) & (archive.count > masks)
    ended = jnp.full((), RUNNING)
    if settings.patience is not None:
        ended = jnp.where(stalled >= settings.patience, STALLED, ended)
    ended = jnp.where(archive.count >= settings.evaluations, SPENT, ended)
    ended = jnp.where(state.generation >= settings.generations, ENDED, ended)
    if settings.goal is not None:
        ended = jnp.where(jnp.any(settings.goal(answers) & known) & ~is_whole, REACHED, ended)
    ended = jnp.where(exhausted, EXHAUSTED, ended)
    told = dataclasses.replace(
        state,
        population=population,
        fitness=fitness,
        new=jnp.zeros_like(state.new),
        archive=archive,
        generation=state.generation + 1,
        history=state.history.at[slot].set(quality, mode="drop"),
        best=jnp.where(is_whole, state.best, jnp.maximum(state.best, quality)),
        stalled=stalled,
        ended=ended.astype(jnp.int32),
    )
    running = state.ended == RUNNING
    return jax.tree.map(lambda after, before: jnp.where(running, after, before), told, state)


def run(
    settings: Settings,
    states: SearchState,
    evaluate: Callable[[SearchState, jax.Array], Any],
    *,
    generations: int | None = None,
) -> SearchState:
    """Searches for a batch of images until each has ended, inside one compiled loop.

    Args:
        settings: of the search.
        states: `SearchState` with a leading image axis.
        evaluate: `evaluate(states, genomes[B, P, W])` returns the values, a pytree of `[B, P]`; what it returns where
            `states.new` is False is not read.
        generations: how many at most; None for until each search has ended.

    Returns:
        The states after the search.
    """

    def body(states: SearchState) -> SearchState:
        with jax.named_scope("ask"):
            states, genomes = jax.vmap(functools.partial(ask, settings))(states)
        values = evaluate(states, genomes)
        with jax.named_scope("tell"):
            return jax.vmap(functools.partial(tell, settings))(states, values)

    if generations is None:
        return jax.lax.while_loop(lambda states: jnp.any(states.ended == RUNNING), body, states)
    # A search that has ended stays as it is, and costs no evaluation.
    return jax.lax.fori_loop(0, generations, lambda _, states: body(states), states)


def _where_finite(fitness: jax.Array, known: jax.Array) -> jax.Array:
    """Returns fitness `[P]` or `[P, M]`, -inf for individuals that are not known or not finite in all objectives."""
    table = fitness.reshape(len(fitness), -1)
    works = jnp.all(jnp.isfinite(table), axis=1) & known
    return jnp.where(works[:, None], table, -jnp.inf).reshape(fitness.shape)
