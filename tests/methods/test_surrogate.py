"""The linear surrogate against `np.linalg.solve`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.fitness import Response
from xaijax.genetic.bit_genome import pack
from xaijax.methods.surrogate import SegmentPrior, contributions, ridge, segment_prior

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
    penalties = np.zeros((bits.shape[1] + 1,) * 2)
    penalties[1:, 1:] = penalty if np.ndim(penalty) else penalty * np.eye(bits.shape[1])
    return np.linalg.lstsq(x.T @ (weight[:, None] * x) + penalties, x.T @ (weight * response))[0][1:]


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


def test_a_penalty_on_products_ties_coefficients():
    root = RANDOM.normal(size=(SEGMENTS, SEGMENTS))
    penalty = root @ root.T + np.eye(SEGMENTS)
    expected = solved_by_numpy(BITS, RESPONSE.astype(np.float64), WEIGHT.astype(np.float64), penalty)
    found = jax.jit(ridge)(BITS, RESPONSE, WEIGHT, penalty=penalty.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_near_segments_are_expected_to_act_alike():
    segments = np.repeat(np.repeat(np.array([[0, 1, 2], [3, 3, 4]], np.int32), 6, axis=0), 8, axis=1)  # 12x24 pixels
    layout = segment_prior(jnp.asarray(segments), max_segments=8)
    np.testing.assert_array_equal(layout.sizes, [48, 48, 48, 96, 48, 0, 0, 0])
    centres = np.array([[2.5, 3.5], [2.5, 11.5], [2.5, 19.5], [8.5, 7.5], [8.5, 19.5]]) / 24
    squared = ((centres[:, None] - centres) ** 2).sum(axis=2)
    expected = np.eye(8)
    expected[:5, :5] = 0.5 * np.exp(-squared / (2 * 0.1**2)) + 0.5 * np.eye(5)
    np.testing.assert_allclose(np.linalg.inv(layout.precision), expected, atol=1e-5)


@pytest.mark.parametrize("largest", [1.0, 0.4])
def test_contributions_mix_the_fit_to_all_masks_with_that_to_large_ones(largest):
    area = (RANDOM.random(ROWS) * largest).astype(np.float32)
    known = WEIGHT > 0
    sizes = np.append(RANDOM.integers(5, 90, 7), 0).astype(np.float32)
    precision = np.eye(SEGMENTS) + 0.1
    responses = Response(log_odds=np.where(known, RESPONSE, np.nan), area=area, predicted=np.zeros(ROWS, np.int32))
    layout = SegmentPrior(sizes=sizes, precision=precision.astype(np.float32))
    genomes = pack(jnp.asarray(np.pad(BITS, ((0, 0), (0, 24)))))
    found = jax.jit(contributions)(genomes, responses, known, layout)
    every, large = (
        solved_by_numpy(BITS, RESPONSE.astype(np.float64), known * weight, 10 * precision)
        for weight in (1 + 3 * area, (area >= 0.5).astype(float))
    )
    same_length = large * np.linalg.norm(every) / np.linalg.norm(large) if largest == 1 else every
    expected = 0.7 * every + 0.3 * same_length
    np.testing.assert_allclose(found.total, expected, rtol=1e-3, atol=1e-4)
    per_area = np.sqrt(sizes.sum() / 7 / sizes[:7])
    np.testing.assert_allclose(found.density[:7], found.total[:7] * per_area, rtol=1e-5)
    odds = RESPONSE.astype(np.float64)
    expected = posterior_std(BITS, odds, known * (1 + 3 * area), 10 * precision)
    if largest == 1:
        of_large = posterior_std(BITS, odds, known * (area >= 0.5), 10 * precision)
        expected = 0.7 * expected + 0.3 * of_large * np.linalg.norm(every) / np.linalg.norm(large)
    np.testing.assert_allclose(found.std[:7], 0.85 * expected[:7] * per_area, rtol=1e-3)
    assert found.std[7] == 0


def posterior_std(bits, response, weight, precision):
    """Of the coefficients under a Gaussian prior, in units of the noise that is left, by the matrix inverse."""
    centred = bits - np.average(bits, axis=0, weights=weight)
    response = response - np.average(response, weights=weight)
    covariance = np.linalg.inv(centred.T @ (weight[:, None] * centred) + precision)
    moment = centred.T @ (weight * response)
    left = weight @ response**2 - moment @ covariance @ moment
    return np.sqrt(left / (np.sum(weight > 0) - 1) * np.diag(covariance))


def fitted(random, effects, layout, count, noise=1.0):
    """The contributions of segments whose effects add up, after `count` random masks."""
    bits = random.random((count, len(effects))) < random.random((count, 1))
    odds = bits @ effects + noise * random.normal(size=count)
    responses = Response(
        log_odds=odds.astype(np.float32), area=bits.mean(axis=1, dtype=np.float32), predicted=np.zeros(count, np.int32)
    )
    return jax.jit(contributions)(pack(jnp.asarray(bits)), responses, np.ones(count, bool), layout)


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_intervals_hold_what_many_more_masks_tell(noise):
    random = np.random.default_rng(5)
    layout = segment_prior(jnp.arange(64, dtype=jnp.int32).reshape(8, 8), max_segments=64)
    held = []
    for _ in range(20):
        effects = random.normal(size=64) * random.choice([0.2, 2.0], 64)
        few, many = (fitted(random, effects, layout, count, noise) for count in (240, 1000))
        held.append(np.abs(few.density - many.density) <= 1.645 * few.std)
    assert 0.85 <= np.mean(held) <= 0.95


def test_only_a_first_segment_that_stands_out_is_told_apart():
    layout = segment_prior(jnp.arange(64, dtype=jnp.int32).reshape(8, 8), max_segments=64)
    random = np.random.default_rng(6)
    equal = [fitted(random, np.zeros(64), layout, 240).is_separated(layout.sizes) for _ in range(20)]
    effects = np.zeros(64)
    effects[9] = 3
    standing_out = [fitted(random, effects, layout, 240).is_separated(layout.sizes) for _ in range(20)]
    assert np.mean(equal) <= 0.1
    assert np.all(standing_out)
