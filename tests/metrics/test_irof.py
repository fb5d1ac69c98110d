"""IROF, segment by segment."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaijax.metrics import area_over_curve, irof_curve

pytestmark = pytest.mark.quick_compile

TARGETS = np.array([0, 3, 1, 2])
RANDOM = np.random.default_rng(0)
SCORES = RANDOM.normal(size=(4, 16, 16)).astype(np.float32)
SEGMENTS = np.arange(16)[:, None] // np.array([2, 4, 8, 16])[:, None, None] * 5 + np.zeros((4, 16, 16), int) + 3


def test_segments_are_removed_by_falling_mean_score(toy_classifier, toy_images):
    images = toy_images[:4]
    curves = irof_curve(toy_classifier, images, SCORES, SEGMENTS, TARGETS)
    assert curves.shape == (4, 9)
    for row, target in enumerate(TARGETS):
        labels = sorted(set(SEGMENTS[row].ravel()), key=lambda label: -SCORES[row][SEGMENTS[row] == label].mean())
        assert np.isnan(curves[row, len(labels) + 1 :]).all()
        pixels = images[row].astype(np.float32) / 255
        for removed in range(len(labels) + 1):
            gone = np.isin(SEGMENTS[row], labels[:removed])
            logits = np.asarray(toy_classifier(np.where(gone[..., None], np.float32(0), pixels)[None])[0], np.float64)
            expected = np.exp(logits[target]) / np.exp(logits).sum()
            np.testing.assert_allclose(curves[row, removed], expected, rtol=1e-4)


def test_of_equal_segments_the_lower_label_goes_first(toy_classifier, toy_images):
    flat = irof_curve(toy_classifier, toy_images[:4], np.zeros((4, 16, 16)), SEGMENTS, TARGETS)
    falling = irof_curve(toy_classifier, toy_images[:4], -SEGMENTS, SEGMENTS, TARGETS)
    np.testing.assert_array_equal(flat, falling)


def test_segments_must_fit(toy_classifier, toy_images):
    with pytest.raises(ValueError, match=r"the shape of segments is \(3, 16, 16\) but must be \[B, H, W\] with B = 4"):
        irof_curve(toy_classifier, toy_images[:4], SCORES, SEGMENTS[:3], TARGETS, fills=0)


@given(hnp.arrays(np.float64, (3, 6), elements=st.floats(0.01, 1)), st.integers(2, 6))
def test_the_area_over_the_curve(probability, length):
    probability[1, length:] = np.nan
    expected = []
    for row, count in zip(probability, (6, length, 6), strict=True):
        lost = [1 - p / row[0] for p in row[:count]]
        expected.append(sum((a + b) / 2 for a, b in itertools.pairwise(lost)) / (count - 1))
    np.testing.assert_allclose(area_over_curve(probability), expected, atol=1e-6)
    assert (area_over_curve(probability) <= 1).all()
    np.testing.assert_allclose(area_over_curve(3 * probability), expected, atol=1e-6)


def test_a_probability_that_stays_has_no_area_over_it():
    np.testing.assert_allclose(area_over_curve([[0.3, 0.3, 0.3], [0.4, 0, 0]]), [0, 0.75])
