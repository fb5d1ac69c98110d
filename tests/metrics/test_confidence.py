"""What masks do to the probability, by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaijax.metrics import cp_score, drop, gain, hypervolume, increase, mask_responses, smallest_area

pytestmark = pytest.mark.quick_compile

UNIT = st.floats(0, 1, width=32)  # as a network responses
ROW = hnp.arrays(np.float64, 5, elements=UNIT)
TARGETS = np.array([0, 3, 1, 2])
MASKS = np.random.default_rng(0).random((4, 16, 16)) < np.array([0.2, 0.5, 2, -1])[:, None, None]  # full, then empty


def test_masks_and_their_inverse_are_asked(toy_classifier, toy_images):
    images = toy_images[:4]
    responses = mask_responses(toy_classifier, images, MASKS, TARGETS)
    np.testing.assert_allclose(responses.area, [mask.sum() / 256 for mask in MASKS])
    for row, target in enumerate(TARGETS):
        pixels = images[row].astype(np.float32) / 255
        stack = np.stack([pixels, pixels * MASKS[row][..., None], pixels * ~MASKS[row][..., None]])
        logits = np.asarray(toy_classifier(stack), np.float64)
        expected = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[:, target]
        found = [responses.original[row], responses.masked[row], responses.inverse[row]]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert responses.keeps_class[row] == (logits[1].argmax() == target)
        assert responses.inverse_loses_class[row] == (logits[2].argmax() != target)
    assert responses.masked[2] == responses.original[2]  # a full mask
    assert responses.inverse[3] == responses.original[3]  # an empty one


@given(ROW, ROW)
def test_drop_gain_and_increase(original, masked):
    pairs = list(zip(original, masked, strict=True))
    np.testing.assert_allclose(drop(original, masked), [max(p - q, 0) / p if p else 0 for p, q in pairs], atol=1e-6)
    np.testing.assert_allclose(
        gain(original, masked), [max(q - p, 0) / (1 - p) if p < 1 else 0 for p, q in pairs], atol=1e-6
    )
    np.testing.assert_array_equal(increase(original, masked), [q > p for p, q in pairs])
    for share in (drop(original, masked), gain(original, masked)):
        assert (share >= 0).all()
        assert (share <= 1 + 1e-9).all()
    assert (drop(original, masked) * gain(original, masked) == 0).all()
    assert not increase(original, original).any()


@given(ROW, ROW)
def test_the_cp_score(probability, area):
    expected = [p / a if a else 0 for p, a in zip(probability, area, strict=True)]
    np.testing.assert_allclose(cp_score(probability, area), expected, rtol=1e-6)
    np.testing.assert_array_equal(cp_score(probability, np.zeros(5)), 0)
    np.testing.assert_array_equal(cp_score(probability, np.ones(5)), probability)


@given(hnp.arrays(np.float64, (3, 5), elements=UNIT), hnp.arrays(np.float64, (3, 5), elements=UNIT), UNIT)
def test_the_smallest_area(probability, area, original):
    probability[0, 2:] = area[0, 2:] = np.nan
    expected = [
        min([a for p, a in zip(*pair, strict=True) if p >= 0.9 * original and not np.isnan(a)], default=1.0)
        for pair in zip(probability, area, strict=True)
    ]
    found = smallest_area(probability, area, np.full(3, original))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # Of more masks the smallest is no larger, and a front without a mask leaves the whole image.
    assert (found <= smallest_area(probability[:, :3], area[:, :3], np.full(3, original))).all()
    np.testing.assert_array_equal(smallest_area(np.full((1, 2), np.nan), np.full((1, 2), np.nan), [original]), 1)


def test_the_smallest_area_on_an_insertion_curve():
    curves = [[0.1, 0.5, 0.95, 0.7, 1.0], [0.1, 0.2, 0.3, 0.4, 0.4]]
    np.testing.assert_array_equal(smallest_area(curves, [0, 0.25, 0.5, 0.75, 1], [1.0, 0.5]), [0.5, 1.0])


@given(hnp.arrays(np.float64, 4, elements=UNIT), hnp.arrays(np.float64, 4, elements=UNIT))
def test_the_hypervolume(probability, area):
    expected = 0.0  # by inclusion and exclusion of the rectangles
    for size in range(1, 5):
        for chosen in map(list, itertools.combinations(range(4), size)):
            expected -= (-1) ** size * probability[chosen].min() * (1 - area[chosen].max())
    volume = hypervolume(probability, area)
    np.testing.assert_allclose(volume, expected, atol=1e-6)
    assert 0 <= volume <= 1
    assert hypervolume(probability[:3], area[:3]) <= volume + 1e-12
    padded = hypervolume(np.append(probability, np.nan)[None], np.append(area, np.nan)[None])
    np.testing.assert_allclose(padded, [volume], atol=1e-12)


def test_the_hypervolume_of_the_empty_and_the_perfect_front():
    probability, area = [[np.nan], [1.0], [1.0], [0.0]], [[np.nan], [0.0], [1.0], [0.0]]
    np.testing.assert_array_equal(hypervolume(probability, area), [0, 1, 0, 0])
