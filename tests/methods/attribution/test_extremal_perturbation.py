"""Extremal perturbations against random masks, and their parts against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import Classifier, ExtremalPerturbation, Status, explain
from xaijax.methods.attribution.extremal_perturbation import area_penalty, paint_smooth
from xaijax.models import load
from xaijax.scenes.generator import generate

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
METHOD = ExtremalPerturbation(evaluations=122, area=0.15, learning_rate=0.1, fill="black")
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def scenes():
    return np.asarray(generate(jax.random.split(jax.random.key(7), 5)).image)


@pytest.fixture(scope="module")
def of_scenes(scenes):
    return explain(KEY, load("scenes-resnet"), scenes, method=METHOD)


def log_odds(classifier, image, masks, target):
    """Returns the log-odds of the class on an image with black where the masks are 0."""
    logits = np.asarray(classifier(np.where(masks[..., None], image, 0).astype(np.uint8)), np.float64)
    return logits[:, target] - np.log(np.exp(np.delete(logits, target, axis=1)).sum(axis=1))


def test_log_odds_rise_above_those_of_random_masks(scenes, of_scenes):
    classifier = load("scenes-resnet")
    paint = jax.jit(jax.vmap(lambda grid: paint_smooth(grid, height=64, width=64)))
    smooth = np.asarray(paint(RANDOM.random((64, 12, 12), np.float32)))
    masks = smooth > np.quantile(smooth, 1 - METHOD.area, axis=(1, 2), keepdims=True)
    for row, target in enumerate(np.asarray(of_scenes.target)):
        found = np.concatenate([np.asarray(of_scenes.mask[row])[None], masks[1:]])
        values = log_odds(classifier, scenes[row], found, target)
        assert values[0] > values[1:].max()
        np.testing.assert_allclose(of_scenes.probability[row], 1 / (1 + np.exp(-values[0])), rtol=1e-3)


def test_area_is_kept_and_the_mask_follows_the_score(of_scenes):
    count = round(METHOD.area * 64 * 64)
    for mask, score in zip(np.asarray(of_scenes.mask), np.asarray(of_scenes.score), strict=True):
        assert mask.sum() == count
        assert score[mask].min() >= score[~mask].max()
        assert 0 <= score.min() <= score.max() <= 1
        assert abs((score > 0.5).mean() - METHOD.area) < 0.1  # the smooth mask is near the area itself
    assert np.all(of_scenes.evaluations == 122)
    assert np.all(of_scenes.status == int(Status.SPENT))


@pytest.mark.slow
def test_an_image_gets_the_same_alone(scenes, of_scenes):
    alone = explain(KEY, load("scenes-resnet"), scenes[3:4], method=METHOD)
    for name in ("score", "mask", "probability", "target"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(of_scenes, name)[3])


def yes_logit(params, images):
    """One sigmoid logit, which the upper left quarter raises; at a black image its gradient is NaN."""
    quarter = images[:, :8, :8].mean(axis=(1, 2, 3)) - images.mean(axis=(1, 2, 3)) / 4
    return (20 * quarter + 0 * jnp.sqrt(images.mean(axis=(1, 2, 3))))[:, None]


@pytest.mark.slow
def test_one_sigmoid_logit_and_a_gradient_that_is_not_finite():
    images = np.full((3, 16, 16, 3), 255, np.uint8)
    images[1] = 0
    classifier = Classifier.from_function(yes_logit, None, num_classes=1, activation="sigmoid")
    method = ExtremalPerturbation(evaluations=92, area=0.25, cells=4, fill="black")
    result = explain(KEY, classifier, images, np.array([1, 1, 0]), method=method)
    assert result.mask[0, :8, :8].mean() > 0.8  # for "yes" the quarter is kept, for "no" left out
    assert result.mask[2, :8, :8].mean() < 0.1
    assert result.probability[0] > result.original_probability[0]
    assert result.status[1] == int(Status.SPENT | Status.NOT_FINITE)
    assert not np.any(result.mask[1])
    np.testing.assert_array_equal(result.score[1], 0)


@pytest.mark.parametrize("area", [0.001, 0.3, 0.999])
def test_the_area_penalty_compares_the_values_in_order_with_a_step(area):
    mask = RANDOM.random((8, 9), np.float32)
    ones = min(max(round(area * 72), 1), 71)
    step = np.concatenate([np.zeros(72 - ones), np.ones(ones)])
    expected = np.mean((np.sort(mask.reshape(-1)) - step) ** 2)
    np.testing.assert_allclose(area_penalty(mask, area), expected, rtol=1e-5)


def test_a_painted_mask_is_close_to_the_maximum_over_cells():
    grid = RANDOM.random((4, 4), np.float32)
    centres = np.arange(4) + 0.5
    expected = np.zeros((20, 12))
    for row in range(20):
        for column in range(12):
            far = [np.maximum(np.abs(at - centres) - 0.5, 0) for at in ((row + 0.5) / 5, (column + 0.5) / 3)]
            expected[row, column] = np.max(grid * np.exp(-2 * (far[0][:, None] ** 2 + far[1][None] ** 2)))
    got = paint_smooth(jnp.asarray(grid), height=20, width=12)
    np.testing.assert_allclose(got, expected, atol=0.06)
    assert np.all(np.asarray(got) <= expected + 1e-6)
    np.testing.assert_allclose(paint_smooth(jnp.ones((3, 3)), height=16, width=16), 1, atol=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate is 0.0 but must be above 0"),
        ({"cells": 1}, "cells is 1 but must be at least 2"),
        ({"penalty": -1.0}, "penalty is -1.0 but must be above 0"),
        ({"evaluations": 5}, "evaluations is 5 but must be at least 8"),
        ({"area": 0.0}, "area is 0.0 but must be above 0 and below 1"),
        ({"fill": "segment-mean"}, "needs segments"),
    ],
)
def test_bad_options_say_what_is_needed(options, message):
    with pytest.raises(ValueError, match=message):
        ExtremalPerturbation(**options)
