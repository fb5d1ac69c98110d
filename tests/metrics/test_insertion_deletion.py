"""Insertion, deletion, comprehensiveness and sufficiency, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaijax.metrics import (
    BINS,
    area_under_curve,
    blurred_fills,
    comprehensiveness,
    deletion_curve,
    insertion_curve,
    sufficiency,
)
from xaijax.metrics.insertion_deletion import pixel_counts

pytestmark = pytest.mark.quick_compile

TARGETS = np.array([0, 3, 1, 2])
SCORES = np.random.default_rng(0).integers(-9, 10, (4, 16, 16)).astype(np.float32)  # with many ties
PROBABILITIES = hnp.arrays(np.float64, (3, 9), elements=st.floats(0, 1))


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def perturbed(image, score, fill, count, inserts):
    """Changes the `count` pixels of highest score one after another."""
    whole, filled = image.astype(np.float32) / 255, np.broadcast_to(fill, image.shape)
    result, other = (filled.copy(), whole) if inserts else (whole.copy(), filled)
    for pixel in sorted(range(score.size), key=lambda pixel: (-score.reshape(-1)[pixel], pixel))[:count]:
        y, x = divmod(pixel, score.shape[1])
        result[y, x] = other[y, x]
    return result


@pytest.mark.parametrize("inserts", [True, False], ids=["insertion", "deletion"])
def test_curves_are_those_of_pixels_changed_one_after_another(toy_classifier, toy_images, inserts):
    images = toy_images[:4]
    curve_of = insertion_curve if inserts else deletion_curve
    curves = curve_of(toy_classifier, images, SCORES, TARGETS, steps=7)
    fills = np.asarray(blurred_fills(images)) if inserts else np.zeros((4, 1, 1, 3), np.float32)
    counts = [round(step * 256 / 7) for step in range(8)]
    np.testing.assert_allclose(curves.fractions, np.array(counts) / 256)
    for row, target in enumerate(TARGETS):
        stack = np.stack([perturbed(images[row], SCORES[row], fills[row], count, inserts) for count in counts])
        responses = softmax(np.asarray(toy_classifier(stack), np.float64))
        np.testing.assert_allclose(curves.probability[row], responses[:, target], rtol=1e-4)
        np.testing.assert_array_equal(curves.keeps_class[row], responses.argmax(axis=1) == target)


def test_end_points_are_the_whole_image_and_the_fill(toy_classifier, toy_images):
    inserted = insertion_curve(toy_classifier, toy_images[:4], SCORES, TARGETS, steps=3)
    deleted = deletion_curve(toy_classifier, toy_images[:4], SCORES, TARGETS, steps=3)
    np.testing.assert_array_equal(inserted.probability[:, -1], deleted.probability[:, 0])
    np.testing.assert_allclose(deleted.probability[:, -1], 0.2)  # the logits of a black image are 0


@pytest.mark.parametrize("monotone", [np.exp, np.cbrt, np.arctan, lambda scores: 3 * scores - 7])
def test_only_the_order_of_the_scores_matters(toy_classifier, toy_images, monotone):
    curves = [
        curve_of(toy_classifier, toy_images[:4], scores, TARGETS, steps=4).probability
        for curve_of in (insertion_curve, deletion_curve)
        for scores in (SCORES, monotone(SCORES.astype(np.float64)))
    ]
    np.testing.assert_array_equal(curves[0], curves[1])
    np.testing.assert_array_equal(curves[2], curves[3])


def test_fractions_that_cannot_be():
    assert pixel_counts(1000, 224, BINS).tolist() == [10, 50, 100, 200, 500]
    assert pixel_counts(50176, 224).tolist() == [step * 224 for step in range(225)]
    with pytest.raises(ValueError, match="at least 1"):
        pixel_counts(10, 0)
    for wrong in ((0.5, 0.2), (-0.1, 1), (0.5, 1.1), (float("nan"),)):
        with pytest.raises(ValueError, match="rise within"):
            pixel_counts(10, 4, wrong)


@given(PROBABILITIES, hnp.arrays(np.float64, 9, elements=st.floats(0, 1)))
def test_the_area_under_a_curve(probability, fractions):
    fractions = np.sort(fractions)
    expected = [
        sum((p + q) / 2 * (b - a) for p, q, a, b in zip(row[:-1], row[1:], fractions[:-1], fractions[1:], strict=True))
        for row in probability
    ]
    area = area_under_curve(fractions, probability)
    np.testing.assert_allclose(area, expected, atol=1e-6)
    assert (area >= 0).all()
    assert (area <= 1 + 1e-9).all()


def test_the_area_under_curves_known_in_advance():
    fractions = np.array([0, 0.25, 1])
    np.testing.assert_allclose(area_under_curve(fractions, [[1, 1, 1], [0, 0, 0], [0, 1, 0]]), [1, 0, 0.5])


@given(PROBABILITIES, hnp.arrays(np.float64, 3, elements=st.floats(0, 1)))
def test_comprehensiveness_and_sufficiency(probability, original):
    for metric in (comprehensiveness, sufficiency):
        expected = [sum(p - q for q in row) / len(row) for p, row in zip(original, probability, strict=True)]
        np.testing.assert_allclose(metric(original, probability), expected, atol=1e-6)
        assert (np.abs(metric(original, probability)) <= 1 + 1e-9).all()
        # What is left is the whole image: nothing was lost.
        np.testing.assert_allclose(metric(original, np.repeat(original[:, None], 5, axis=1)), 0, atol=1e-12)
