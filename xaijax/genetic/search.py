"""The search: `ask` proposes the genomes of a generation, `tell` takes in their values.

Both are written for one image and `vmap`ped over images. The first generation is the whole mask alone (an explanation
is measured against it), the next ones are the initial design, and all later ones are children.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.genetic import archive as archives
from xaijax.genetic.bit_genome import enumerate_masks
from xaijax.genetic.breeding import breed, check_result
from xaijax.genetic.state import (
    CONVERGED,
    ENUMERATED,
    EXHAUSTED,
    GENERATION_LIMIT,
    REACHED,
    RUNNING,
    SPENT,
    STALLED,
    WINDOW,
    SearchState,
    Settings,
)
from xaijax.pairwise import running_count


def init(
    settings: Settings,
    key: jax.Array,
    space: Any,
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
        space: the search space, see `Encoding`; for bits, how many genes are in use, `[]` int32.
        active: `[]` bool; False for a slot of the batch that holds no image.
        values: pytree of `jax.ShapeDtypeStruct`, the scalars that an evaluation returns.
        start: `[N, W]`, genomes that replace the first N of the initial design; None for none.
        context: pytree, what else decoding and the guide need to know of the image.
    """
    count, words = settings.population, settings.words
    many = jax.tree.map(lambda value: jax.ShapeDtypeStruct((count, *value.shape), value.dtype), values)
    objectives = jax.eval_shape(settings.fitness, many).shape
    blank = SearchState(
        key=key,
        space=space,
        context=context,
        drawn=jnp.zeros((settings.designed * count, words), jnp.uint32),
        population=jnp.zeros((count, words), jnp.uint32),
        fitness=jnp.full(objectives, -jnp.inf, jnp.float32),
        pending=jnp.zeros((count, words), jnp.uint32),
        new=jnp.zeros((count,), jnp.bool_),
        parents=jnp.zeros((count,), jnp.bool_),
        archive=archives.empty(settings.evaluations, words, values),
        spent=jnp.int32(0),
        generation=jnp.int32(0),
        entered=jnp.int32(0),
        history=jnp.full((settings.generations,), jnp.nan, jnp.float32),
        champions=jnp.zeros((settings.generations,), jnp.int32),
        best=jnp.float32(-jnp.inf),
        stalled=jnp.int32(0),
        stop_reason=jnp.int32(GENERATION_LIMIT),
    )
    entered = enter(settings, blank, space, context, start=start)
    return dataclasses.replace(entered, stop_reason=jnp.where(active, RUNNING, GENERATION_LIMIT).astype(jnp.int32))


def enter(
    settings: Settings, state: SearchState, space: Any, context: Any, *, start: jax.Array | None = None
) -> SearchState:
    """Restarts the search in another space; the archive and the count of evaluations are kept.

    Args:
        settings: of the search.
        state: of the search so far.
        space: the search space from now on.
        context: as for `init`.
        start: as for `init`.
    """
    first_key, repair_key, key = threefry.split(state.key, 3)
    count = settings.designed * settings.population
    drawn = settings.encoding.draw(first_key, space, count=count, words=settings.words)
    if start is not None:
        drawn = jnp.concatenate([start, drawn[: count - len(start)]])
    drawn = settings.encoding.repair(repair_key, drawn, space)
    return dataclasses.replace(
        state,
        key=key,
        space=space,
        context=context,
        drawn=drawn,
        population=drawn[: settings.population],
        fitness=jnp.full_like(state.fitness, -jnp.inf),
        pending=drawn[: settings.population],
        entered=jnp.maximum(state.generation - 1, 0),
        best=jnp.float32(-jnp.inf),
        stalled=jnp.int32(0),
        stop_reason=jnp.int32(RUNNING),
    )


def ask(settings: Settings, state: SearchState) -> tuple[SearchState, jax.Array]:
    """Proposes the genomes of the next generation.

    Returns:
        The state, whose `new` marks the genomes to evaluate (none is evaluated twice), and the genomes `[P, W]`.
    """
    key, child_key = threefry.split(state.key)
    first = (state.generation - state.entered - 1) * settings.population
    designed = jax.lax.dynamic_slice_in_dim(state.drawn, first, settings.population)
    children, parents = breed(settings, child_key, state)
    is_designed = state.generation <= state.entered + settings.designed
    genomes = jnp.where(is_designed, designed, children)
    if settings.encoding.is_bits:
        enumerated = enumerate_masks(first, state.space, count=settings.population, words=settings.words)
        genomes = jnp.where(state.space <= settings.enumerated, enumerated, genomes)
    whole = settings.encoding.whole(state.space, settings.words)
    genomes = jnp.where(state.generation == 0, whole[None], genomes)

    running = state.stop_reason == RUNNING
    new = ~archives.is_repeat(state.archive, genomes) & running
    passes = running_count(new) * settings.most_passes
    new &= (passes <= settings.evaluations - state.spent) | (state.generation == 0)
    # A search that has ended keeps its state, however long its neighbours run.
    key, genomes, parents = jax.tree.map(
        lambda after, before: jnp.where(running, after, before),
        (key, genomes, parents & ~is_designed),
        (state.key, state.pending, state.parents),
    )
    return dataclasses.replace(state, key=key, pending=genomes, new=new, parents=parents), genomes


def tell(settings: Settings, state: SearchState, values: Any) -> SearchState:
    """Updates the state with the values of the genomes that `ask` proposed.

    Args:
        settings: of the search.
        state: as `ask` returned it.
        values: pytree of `[P]`, what the evaluations returned; read only where `state.new`.
    """
    archive = archives.insert(state.archive, state.pending, values, state.new)
    known, index = archives.find(archive, state.pending)
    responses = jax.tree.map(lambda value: value[index], archive.values)
    fitness = _where_finite(settings.fitness(responses), known)
    survivors = settings.survival(
        state.population,
        state.fitness,
        state.pending,
        fitness,
        state.parents,
        elites=settings.elites,
        preference=settings.preference,
    )
    for survivor, before in zip(survivors, (state.population, state.fitness), strict=True):
        check_result("survival", survivor, before.dtype, before.shape)
    is_whole = state.generation == 0
    population, fitness = jax.tree.map(
        lambda after, before: jnp.where(is_whole, before, after), survivors, (state.population, state.fitness)
    )
    # The whole mask's generation is not recorded: its index lies outside the history, and the write is dropped.
    entry = jnp.where(is_whole, settings.generations, state.generation - 1)
    quality = settings.quality(fitness)
    champion = archives.find(archive, population[:1])[1][0]
    gains = (state.generation <= state.entered + settings.designed) | (quality > state.best)
    stalled = jnp.where(gains, 0, state.stalled + 1)
    passes = jnp.ones_like(state.new, jnp.int32) if settings.passes is None else settings.passes(values)
    spent = state.spent + jnp.sum(jnp.where(state.new, passes, 0))
    reason = jnp.full((), RUNNING)
    if settings.patience is not None:
        reason = jnp.where(stalled >= settings.patience, STALLED, reason)
    if settings.least_gain is not None:
        before = state.history[jnp.maximum(entry - WINDOW, 0)]
        is_bred = state.generation >= state.entered + settings.designed + WINDOW
        gain = quality - before
        reason = jnp.where(is_bred & (gain < settings.least_gain * WINDOW * settings.population), CONVERGED, reason)
    reason = jnp.where(spent > settings.evaluations - settings.most_passes, SPENT, reason)
    reason = jnp.where(state.generation >= settings.generations, GENERATION_LIMIT, reason)
    if settings.goal is not None:
        reason = jnp.where(jnp.any(settings.goal(responses) & known) & ~is_whole, REACHED, reason)
    if settings.encoding.is_bits:
        masks = jnp.left_shift(jnp.int32(1), jnp.clip(state.space, 0, ENUMERATED + 1)) - 2
        reason = jnp.where((state.space <= settings.enumerated) & (archive.count > masks), EXHAUSTED, reason)
    updated = dataclasses.replace(
        state,
        population=population,
        fitness=fitness,
        new=jnp.zeros_like(state.new),
        archive=archive,
        spent=spent,
        generation=state.generation + 1,
        history=state.history.at[entry].set(quality, mode="drop"),
        champions=state.champions.at[entry].set(champion, mode="drop"),
        best=jnp.where(is_whole, state.best, jnp.maximum(state.best, quality)),
        stalled=stalled,
        stop_reason=reason.astype(jnp.int32),
    )
    running = state.stop_reason == RUNNING
    return jax.tree.map(lambda after, before: jnp.where(running, after, before), updated, state)


def run(
    propose: Callable[[Any], tuple[Any, jax.Array]],
    learn: Callable[[Any, Any], Any],
    states: Any,
    evaluate: Callable[[Any, jax.Array], Any],
    *,
    generations: int | None = None,
) -> Any:
    """Runs the searches of a batch of images until each has ended, in one compiled loop.

    Args:
        propose: `ask` with its settings bound, or what does the same for another search: for one image, the state
            before a generation to the state and the genomes `[P, W]`.
        learn: `tell` with its settings bound, or likewise: the state and the values `[P]` to the next state.
        states: with a leading image axis; the `stop_reason` of each tells whether its search goes on.
        evaluate: `evaluate(states, genomes[B, P, W])` returns the values, a pytree of `[B, P]`; those where
            `states.new` is False are not read.
        generations: how many to run at most; None runs until each search has ended.

    Returns:
        The states after the search.
    """

    def body(states: Any) -> Any:
        with jax.named_scope("ask"):
            states, genomes = jax.vmap(propose)(states)
        values = evaluate(states, genomes)
        with jax.named_scope("tell"):
            return jax.vmap(learn)(states, values)

    with jax.named_scope("generations"):
        if generations is None:
            return jax.lax.while_loop(lambda states: jnp.any(states.stop_reason == RUNNING), body, states)
        # A search that has ended keeps its state and costs no evaluation.
        return jax.lax.fori_loop(0, generations, lambda _, states: body(states), states)


def _where_finite(fitness: jax.Array, known: jax.Array) -> jax.Array:
    """Returns fitness `[P]` or `[P, M]`, -inf for individuals that are not known or not finite in all objectives."""
    table = fitness.reshape(len(fitness), -1)
    is_valid = jnp.all(jnp.isfinite(table), axis=1) & known
    return jnp.where(is_valid[:, None], table, -jnp.inf).reshape(fitness.shape)
