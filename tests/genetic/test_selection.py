"""Selection against its exact probabilities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.genetic.selection import stochastic_universal_sampling, tournament

DRAWS = 20_000


@pytest.mark.parametrize("size", [1, 3])
def test_frequencies_follow_the_exact_probabilities(size):
    fitness = jnp.asarray([0.3, -2.0, 7.0, 0.1, 0.2])
    chosen = jax.jit(functools.partial(tournament, size=size, count=DRAWS))(jax.random.key(0), fitness)
    weaker = np.array([(fitness < own).sum() for own in fitness])
    # The fittest of the contestants is this one when none is fitter and not all are weaker.
    expected = ((weaker + 1) ** size - weaker**size) / len(fitness) ** size
    found = np.bincount(chosen, minlength=len(fitness)) / DRAWS
    assert np.all(np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / DRAWS))


def test_the_lost_never_beat_the_finite():
    fitness = jnp.asarray([-jnp.inf, jnp.finfo(jnp.float32).min, -jnp.inf, -jnp.inf])
    chosen = jax.jit(functools.partial(tournament, size=100, count=1000))(jax.random.key(0), fitness)
    # A tournament of 100 without the finite one comes once in 3e12.
    np.testing.assert_array_equal(chosen, 1)


def test_a_population_of_the_lost_still_has_parents():
    fitness = jnp.full((5,), -jnp.inf)
    chosen = jax.jit(functools.partial(tournament, size=1, count=DRAWS))(jax.random.key(0), fitness)
    assert set(np.asarray(chosen)) == set(range(5))


@pytest.mark.parametrize("pressure", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("count", [5, 12])
def test_universal_sampling_draws_each_as_often_as_expected(pressure, count):
    fitness = jnp.asarray([0.3, -jnp.inf, 7.0, 0.1, 0.2])
    sample = functools.partial(stochastic_universal_sampling, pressure=pressure, count=count)
    drawn = np.asarray(jax.jit(jax.vmap(sample, (0, None)))(jax.random.split(jax.random.key(0), 4000), fitness))
    rank = np.array([1, 4, 0, 3, 2])
    expected = count * (pressure - 2 * (pressure - 1) * rank / 4) / 5
    times = np.stack([np.sum(drawn == index, axis=1) for index in range(5)], axis=1)
    assert np.all(times >= np.floor(expected - 1e-4))
    assert np.all(times <= np.ceil(expected + 1e-4))
    np.testing.assert_allclose(times.mean(axis=0), expected, atol=0.05)
    # Shuffled: every index is as often at the first rank as at the last.
    first, last = (np.bincount(drawn[:, column], minlength=5) / 4000 for column in (0, -1))
    np.testing.assert_allclose(first, last, atol=0.05)


def test_universal_sampling_ranks_the_earlier_of_equals_higher():
    sample = functools.partial(stochastic_universal_sampling, pressure=2.0, count=60)
    drawn = np.asarray(jax.jit(sample)(jax.random.key(0), jnp.zeros(60)))
    times = np.bincount(drawn, minlength=60)
    expected = 2 - 2 * np.arange(60) / 59
    # However many of the first are taken together, they are drawn as often as expected, rounded up or down.
    assert np.all(np.abs(np.cumsum(times) - np.cumsum(expected)) < 1)


def test_universal_sampling_draws_the_only_individual():
    sample = functools.partial(stochastic_universal_sampling, pressure=1.5, count=3)
    np.testing.assert_array_equal(jax.jit(sample)(jax.random.key(0), jnp.zeros(1)), [0, 0, 0])
