"""KernelSHAP against exact Shapley values, and the law of its coalitions."""

import functools
import itertools
import math

import jax
import numpy as np
import pytest

from tests.methods.drawn import probabilities
from xaijax import Grid, KernelSHAP, explain
from xaijax.genetic.bit_genome import unpack
from xaijax.methods.attribution.kernel_shap import draw_coalitions, shapley_kernel, shapley_values

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(5)


def exact_shapley(worth, players):
    """Returns the Shapley values of a game whose `worth[S]` is given for the set with the bits of S."""
    values = np.zeros(players)
    for player in range(players):
        for size in range(players):
            share = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            for others in itertools.combinations([p for p in range(players) if p != player], size):
                without = sum(1 << p for p in others)
                values[player] += share * (worth[without | 1 << player] - worth[without])
    return values


def test_eight_segments_get_exact_shapley_values(toy_classifier, toy_images):
    method = KernelSHAP(evaluations=300, segmentation=Grid(2, 4), fill="black")
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, method=method))
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    for row in range(8):
        masks = bits[:, result.segments[row]]
        worth = probabilities(toy_classifier, toy_images[row], masks, int(result.target[row]), 0)
        np.testing.assert_allclose(result.segment_score[row, :8], exact_shapley(worth, 8), atol=2e-5)


def test_sampled_values_come_close_and_add_up():
    worth = np.random.default_rng(0).uniform(size=256)
    bits = np.asarray(unpack(draw_coalitions(KEY, np.int32(8), max_segments=64, count=20_000, words=2), 8))
    response, weight = np.float32(worth[bits @ (1 << np.arange(8))]), np.ones(20_000, np.float32)
    ends = {"whole": np.float32(worth[255]), "empty": np.float32(worth[0])}
    values = shapley_values(bits, response, weight, np.int32(8), **ends)
    np.testing.assert_allclose(values, exact_shapley(worth, 8), atol=0.01)
    np.testing.assert_allclose(np.sum(values), worth[255] - worth[0], atol=1e-5)


def test_more_segments_than_can_be_enumerated_are_sampled(toy_classifier, toy_images):
    method = KernelSHAP(evaluations=250, segmentation=Grid(2, 4), fill="black")
    assert method.enumerated == 7
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, method=method))
    for row in range(8):
        ends = np.stack([np.zeros((16, 16)), np.ones((16, 16))])
        empty, whole = probabilities(toy_classifier, toy_images[row], ends, int(result.target[row]), 0)
        np.testing.assert_allclose(result.segment_score[row].sum(), whole - empty, atol=1e-5)
        assert result.evaluations[row] == 250


def test_coalitions_come_in_pairs_with_sizes_of_the_kernel():
    genomes = draw_coalitions(KEY, np.int32(10), max_segments=64, count=8000, words=2)
    bits = np.asarray(unpack(genomes, 64))
    assert not bits[:, 10:].any()
    np.testing.assert_array_equal(bits[::2, :10], ~bits[1::2, :10])
    sizes = np.arange(1, 10)
    share = 1 / (sizes * (10 - sizes))
    observed = np.bincount(bits[::2].sum(axis=1), minlength=10)[1:] / 4000
    np.testing.assert_allclose(observed, share / share.sum(), atol=0.03)
    np.testing.assert_allclose(bits[::2].mean(axis=0)[:10], 0.5, atol=0.05)
    np.testing.assert_array_equal(genomes[:50], draw_coalitions(KEY, np.int32(10), max_segments=64, count=50, words=2))


def test_the_kernel_is_its_formula():
    sizes = np.arange(1, 12)
    expected = [11 / (math.comb(12, size) * size * (12 - size)) for size in sizes]
    np.testing.assert_allclose(shapley_kernel(sizes.astype(np.int32), np.int32(12)), expected, rtol=1e-4)


def test_a_linear_game_is_recovered_from_fewer_samples_than_coalitions():
    random = np.random.default_rng(0)
    bits, weights = random.random((60, 20)) < 0.5, random.normal(size=20)
    values = shapley_values(
        bits,
        np.float32(bits @ weights + 3),
        np.ones(60, np.float32),
        np.int32(20),
        whole=np.float32(weights.sum() + 3),
        empty=np.float32(3),
    )
    np.testing.assert_allclose(values, weights, atol=1e-3)


@pytest.mark.parametrize("players", [12, 60, 128])
@pytest.mark.parametrize("count", [5, 10, 40])
def test_values_of_fewer_samples_than_players_are_finite_and_add_up(players, count):
    weights = np.random.default_rng(0).normal(size=players)
    draw = functools.partial(draw_coalitions, max_segments=128, count=count, words=4)
    bits = np.asarray(unpack(jax.vmap(draw, in_axes=(0, None))(jax.random.split(KEY, 50), np.int32(players)), 128))
    worth = (bits[..., :players] @ weights).astype(np.float32)
    ends = {"whole": np.float32(weights.sum()), "empty": np.float32(0)}
    solve = jax.vmap(functools.partial(shapley_values, **ends), in_axes=(0, 0, None, None))
    values = np.asarray(solve(bits, worth, np.ones(count, np.float32), np.int32(players)))
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values.sum(axis=1), weights.sum(), atol=1e-4)


@pytest.mark.parametrize("options", [{"area": 0}, {"evaluations": 7}, {"max_segments": 1}])
def test_bad_options_say_what_is_needed(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        KernelSHAP(**options)
