"""The linear surrogate against `np.linalg.solve`."""

import functools

import jax
import numpy as np
import pytest

from xaijax.methods.surrogate import ridge

ROWS, SEGMENTS = 50, 8
RANDOM = np.random.default_rng(0)
BITS = RANDOM.random((ROWS, SEGMENTS)) < 0.5
BITS[:, 6], BITS[:, 7] = True, False  # bits that never vary
RESPONSE = RANDOM.normal(5, 2, ROWS).astype(np.float32)
WEIGHT = RANDOM.uniform(0, 2, ROWS).astype(np.float32)
WEIGHT[40:] = 0

fit = {penalty: jax.jit(functools.partial(ridge, penalty=penalty)) for penalty in (0.01, 1.0)}


def solved_by_numpy(bits, response, weight, penalty):
    """Solves the normal equations with an intercept, which is not penalised."""
    x = np.concatenate([np.ones((len(bits), 1)), bits], axis=1)
    penalties = np.diag([0.0] + [penalty] * bits.shape[1])
    return np.linalg.solve(x.T @ (weight[:, None] * x) + penalties, x.T @ (weight * response))[1:]


@pytest.mark.parametrize("penalty", fit)
def test_coefficients_are_those_of_the_normal_equations(penalty):
    expected = solved_by_numpy(BITS, RESPONSE.astype(np.float64), WEIGHT.astype(np.float64), penalty)
    np.testing.assert_allclose(fit[penalty](BITS, RESPONSE, WEIGHT), expected, rtol=1e-3, atol=1e-4)


def test_a_bit_that_never_varies_gets_nothing():
    np.testing.assert_allclose(fit[1.0](BITS, RESPONSE, WEIGHT)[6:], 0, atol=1e-5)


def test_rows_without_weight_are_not_read():
    bits, response = BITS.copy(), RESPONSE.copy()
    bits[40:] ^= True
    response[40:] = [np.nan, np.inf, -np.inf, 1e30, 0] * 2
    np.testing.assert_array_equal(fit[1.0](bits, response, WEIGHT), fit[1.0](BITS, RESPONSE, WEIGHT))


def test_nothing_is_learnt_from_nothing():
    response = np.full(ROWS, np.nan, np.float32)
    np.testing.assert_array_equal(fit[1.0](BITS, response, np.zeros(ROWS, np.float32)), np.zeros(SEGMENTS))


def test_a_linear_response_is_recovered():
    truth = np.array([3, -2, 0, 1, 0.5, -1, 0, 0], np.float32)
    response = (BITS @ truth - 7).astype(np.float32)
    np.testing.assert_allclose(fit[0.01](BITS, response, np.ones(ROWS, np.float32)), truth, atol=0.02)
