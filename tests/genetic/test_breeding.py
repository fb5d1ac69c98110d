"""Breeding: which random numbers make a generation."""

import collections
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.genetic import search
from xaijax.genetic.bit_genome import whole
from xaijax.genetic.crossover import uniform
from xaijax.genetic.encoding import Encoding
from xaijax.genetic.mutation import bit_flip
from xaijax.genetic.selection import tournament

POPULATION = 4


@pytest.mark.slow
def test_no_key_is_consumed_twice():
    keys = collections.defaultdict(list)

    def note(operator, key, result):
        keys[operator].append(tuple(np.asarray(jax.random.key_data(key)).tolist()))
        return result

    # Operators that draw nothing, and note the key that they would draw with.
    settings = search.Settings(
        evaluations=100,
        population=POPULATION,
        generations=10,
        words=1,
        elites=2,
        encoding=Encoding(
            draw=lambda key, space, count, words: note("draw", key, jnp.arange(count, dtype=jnp.uint32)[:, None]),
            repair=lambda key, genomes, space: note("repair", key, genomes),
            whole=whole,
        ),
        selection=lambda key, preference, count: note("selection", key, jnp.arange(count, dtype=jnp.int32) % 4),
        crossover=lambda key, mothers, fathers, space: note("crossover", key, mothers),
        mutation=lambda key, genomes, space: note("mutation", key, genomes),
        guide=lambda key, archive, space, needed, context: note("guide", key, jnp.full((1, 1), 9, jnp.uint32)),
        preselection=lambda archive, genomes, needed, context: jnp.zeros((len(genomes),)),
        brood=2,
        retries=2,
        fitness=lambda values: values,
    )
    value = jax.ShapeDtypeStruct((), jnp.float32)
    with jax.disable_jit():  # so that a loop calls its body as often as it turns, with keys that can be read
        state = search.init(settings, jax.random.key(0), jnp.int32(20), jnp.bool_(True), value)
        for _ in range(2):
            state, _ = search.ask(settings, state)
            state = search.tell(settings, state, jnp.zeros(POPULATION))

    # The first population is drawn and repaired. A generation then selects, crosses and asks the guide once; it mutates
    # and repairs all broods once, and then the children, which repeat nothing, once more.
    counts = {operator: len(found) for operator, found in keys.items()}
    assert counts == {"draw": 1, "selection": 2, "crossover": 2, "guide": 2, "mutation": 4, "repair": 5}
    together = [key for found in keys.values() for key in found]
    assert len(set(together)) == len(together)


@pytest.mark.parametrize(
    ("operator", "wrong", "needed"),
    [
        (
            "selection",
            lambda key, fitness, count: jnp.zeros((count,)),
            r"float32 of shape \(8,\) .* int32 of shape \(8,\)",
        ),
        ("crossover", lambda key, mothers, fathers, space: mothers[:2], r"shape \(2, 1\) but must .* shape \(4, 1\)"),
        ("mutation", lambda key, genomes, space: genomes > 0, "bool of .* must return uint32"),
        (
            "survival",
            lambda population, fitness, *_, **__: (population, fitness[:3]),
            r"must .* float32 of shape \(4,\)",
        ),
    ],
)
def test_an_operator_that_returns_something_else_is_named(operator, wrong, needed):
    settings = search.Settings(
        evaluations=100,
        population=POPULATION,
        generations=10,
        words=1,
        elites=2,
        selection=functools.partial(tournament, size=2),
        crossover=uniform,
        mutation=functools.partial(bit_flip, flips=1.0),
        fitness=lambda values: values,
    )
    settings = dataclasses.replace(settings, **{operator: wrong})
    value = jax.ShapeDtypeStruct((), jnp.float32)
    state = search.init(settings, jax.random.key(0), jnp.int32(20), jnp.bool_(True), value)
    with pytest.raises(ValueError, match=f"^{operator} returned .*{needed}"):
        search.tell(settings, search.ask(settings, state)[0], jnp.zeros(POPULATION))


@pytest.mark.parametrize(
    "call",
    [
        lambda: tournament(jax.random.key(0), jnp.zeros((4, 2)), size=2, count=4),
        lambda: uniform(jax.random.key(0), jnp.zeros((4, 1), jnp.uint32), jnp.zeros((4,), jnp.uint32), jnp.int32(9)),
    ],
)
def test_operators_refuse_what_would_be_broadcast(call):
    with pytest.raises(AssertionError, match=r"assert_(rank|equal_shape)"):
        call()
