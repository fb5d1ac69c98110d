"""The passes of the metrics against one masked image after another."""

import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from xaijax.metrics import blurred_fills, mean_fills
from xaijax.metrics.probe import CHUNK, falling_ranks, probe

pytestmark = pytest.mark.quick_compile

COUNTS = np.array([[0, 1, 100, 256], [256, -1, 7, 30], [5, 5, -1, -1], [-1, -1, -1, -1]])
TARGETS = np.array([0, 3, 1, 2])
RANKS = np.random.default_rng(0).permuted(np.tile(np.arange(256), (4, 1)), axis=1).reshape(4, 16, 16)


def test_each_answer_is_that_of_its_masked_image(toy_classifier, toy_images):
    images, fills = toy_images[:4], toy_images[4:].astype(np.float32) / 255
    responses = probe(toy_classifier, images, RANKS, COUNTS, TARGETS, fills=fills)
    for image, index in np.ndindex(COUNTS.shape):
        if COUNTS[image, index] < 0:
            assert np.isnan(responses.probability[image, index])
            assert responses.predicted[image, index] == -1
            continue
        mask = RANKS[image][..., None] < COUNTS[image, index]
        masked = np.where(mask, images[image] / np.float32(255), fills[image])
        logits = np.asarray(toy_classifier(masked[None])[0], np.float64)
        expected = np.exp(logits[TARGETS[image]]) / np.exp(logits).sum()
        np.testing.assert_allclose(responses.probability[image, index], expected, rtol=1e-4)
        assert responses.predicted[image, index] == logits.argmax()


def test_more_counts_than_a_call_takes(toy_classifier, toy_images):
    images, fills = toy_images[:4], mean_fills(toy_classifier, toy_images[:4])
    counts = np.arange(CHUNK + 44) % 257
    many = probe(toy_classifier, images, RANKS, counts, TARGETS, fills=fills)
    few = probe(toy_classifier, images, RANKS, counts[CHUNK:], TARGETS, fills=fills)
    assert many.probability.shape == (4, CHUNK + 44)
    np.testing.assert_array_equal(many.probability[:, CHUNK:], few.probability)
    np.testing.assert_array_equal(many.predicted[:, CHUNK:], few.predicted)


def test_what_does_not_fit_is_refused(toy_classifier, toy_images):
    fills = mean_fills(toy_classifier, toy_images[:4])
    for targets, message in (([0, 1, 2, 5], "0 to 4"), ([-1] * 4, "not a class"), ([0.0] * 4, "integers"), ([1], "4")):
        with pytest.raises(ValueError, match=message):
            probe(toy_classifier, toy_images[:4], RANKS, COUNTS, targets, fills=fills)
    with pytest.raises(ValueError, match=r"ranks is \(3, 16, 16\) but must be \[B, H, W\] with B = 4 as in images"):
        probe(toy_classifier, toy_images[:4], RANKS[:3], COUNTS, TARGETS, fills=fills)
    with pytest.raises(ValueError, match="with h and w 1 or H and W"):
        probe(toy_classifier, toy_images[:4], RANKS, COUNTS, TARGETS, fills=np.zeros((4, 8, 8, 3)))


def test_pixels_are_ranked_by_falling_score_and_ties_in_raster_order():
    scores = np.random.default_rng(1).integers(-2, 3, (3, 6, 5)).astype(np.float32)
    for score, ranks in zip(scores.reshape(3, -1), falling_ranks(scores).reshape(3, -1), strict=True):
        order = sorted(range(30), key=lambda pixel: (-score[pixel], pixel))
        assert [ranks[pixel] for pixel in order] == list(range(30))
    with pytest.raises(ValueError, match="NaN"):
        falling_ranks(np.full((1, 2, 2), np.nan))


def test_the_fills_of_rise(toy_classifier, toy_images):
    pixels = toy_images[:4].astype(np.float64) / 255
    expected = [gaussian_filter(image, (5, 5, 0), mode="reflect", radius=(5, 5, 0)) for image in pixels]
    np.testing.assert_allclose(blurred_fills(jax.numpy.asarray(toy_images[:4])), expected, atol=2e-6)
    np.testing.assert_array_equal(mean_fills(toy_classifier, toy_images[:4]), np.zeros((4, 1, 1, 3)))
