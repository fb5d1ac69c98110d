"""Tournament selection against its exact probabilities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.genetic.selection import tournament

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
