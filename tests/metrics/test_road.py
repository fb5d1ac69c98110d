"""ROAD: what is removed, by what, and in which order."""

import jax
import numpy as np
import pytest

from xaijax.metrics import road_curve
from xaijax.metrics.road import imputed_fills

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)
TARGETS = np.array([0, 3, 1, 2])
SCORES = np.random.default_rng(0).integers(-9, 10, (4, 16, 16)).astype(np.float32)


@pytest.mark.parametrize("first", ["highest", "lowest"])
def test_the_pixels_removed_are_imputed(toy_classifier, toy_images, first):
    images = toy_images[:4]
    fractions = (0.2, 0.6)
    curves = road_curve(KEY, toy_classifier, images, SCORES, TARGETS, fractions=fractions, first=first, noise=0.0)
    counts = [round(fraction * 256) for fraction in fractions]
    np.testing.assert_allclose(curves.fractions, np.array(counts) / 256)
    orders = [sorted(range(256), key=lambda pixel: (-score[pixel], pixel)) for score in SCORES.reshape(4, -1)]
    for index, count in enumerate(counts):
        known = np.ones((4, 256), bool)
        for row, order in enumerate(orders):
            known[row, (order if first == "highest" else order[::-1])[:count]] = False
        logits = np.asarray(toy_classifier(imputed_fills(KEY, images, known.reshape(4, 16, 16), 0.0)), np.float64)
        for row, target in enumerate(TARGETS):
            probability = np.exp(logits[row, target]) / np.exp(logits[row]).sum()
            np.testing.assert_allclose(curves.probability[row, index], probability, rtol=1e-4)
            assert curves.keeps_class[row, index] == (logits[row].argmax() == target)


def test_noise_is_small_and_the_same_in_any_batch(toy_classifier, toy_images):
    def curve(order, noise):
        images, scores, targets = toy_images[:4][order], SCORES[order], TARGETS[order]
        curves = road_curve(KEY, toy_classifier, images, scores, targets, fractions=(0.5,), noise=noise)
        return curves.probability

    straight, turned, without = curve([0, 1, 2, 3], 0.01), curve([3, 2, 1, 0], 0.01), curve([0, 1, 2, 3], 0.0)
    np.testing.assert_allclose(straight, turned[::-1], rtol=1e-5)
    assert np.abs(straight - without).max() > 0
    assert np.abs(straight - without).max() < 0.02


def test_nothing_can_be_imputed_from_nothing(toy_classifier, toy_images):
    with pytest.raises(ValueError, match="below 1"):
        road_curve(KEY, toy_classifier, toy_images[:4], SCORES, TARGETS, fractions=(0.5, 1.0))
