"""Where scores and masks lie, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaijax.metrics import energy_pointing_game, masks_of_boxes, overlap, pointing_game

pytestmark = pytest.mark.quick_compile

SCORES = hnp.arrays(np.float32, (2, 5, 6), elements=st.integers(-4, 4))
MASKS = hnp.arrays(np.bool_, (2, 5, 6))
EMPTY, FULL = np.zeros((2, 5, 6), bool), np.ones((2, 5, 6), bool)


@given(SCORES, MASKS, st.sampled_from([0.0, 1.0, 1.5, 3.0, 15.0]))
def test_the_pointing_game(scores, objects, tolerance):
    hits = []
    for score, inside in zip(scores, objects, strict=True):
        y, x = min(np.ndindex(score.shape), key=lambda pixel: (-score[pixel], pixel))
        hits.append(any(np.hypot(v - y, u - x) <= tolerance for v, u in np.argwhere(inside)))
    found = pointing_game(scores, objects, tolerance=tolerance)
    np.testing.assert_array_equal(found, hits)
    np.testing.assert_array_equal(found, pointing_game(np.exp(scores / 2), objects, tolerance=tolerance))
    assert (found <= pointing_game(scores, objects, tolerance=tolerance + 1)).all()
    assert not pointing_game(scores, EMPTY, tolerance=tolerance).any()
    assert pointing_game(scores, FULL, tolerance=tolerance).all()


def test_the_tolerance_is_that_of_torchray():
    scores = np.zeros((1, 40, 40))
    scores[0, 5, 5] = 1
    for distance, hit in ((15, True), (16, False)):
        objects = np.zeros((1, 40, 40), bool)
        objects[0, 5, 5 + distance] = True
        assert pointing_game(scores, objects) == [hit]


@given(SCORES, MASKS)
def test_the_energy_pointing_game(scores, objects):
    expected = []
    for score, inside in zip(scores, objects, strict=True):
        positive = [max(value, 0) for value in score.ravel()]
        on = sum(value for value, is_inside in zip(positive, inside.ravel(), strict=True) if is_inside)
        expected.append(on / sum(positive) if sum(positive) else 0)
    found = energy_pointing_game(scores, objects)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found, energy_pointing_game(scores * 7, objects), atol=1e-12)
    np.testing.assert_array_equal(energy_pointing_game(scores, EMPTY), 0)
    np.testing.assert_array_equal(energy_pointing_game(scores, FULL), (scores > 0).any(axis=(1, 2)))


@given(MASKS, MASKS)
def test_overlap(masks, objects):
    found = overlap(masks, objects)
    for row, (mask, inside) in enumerate(zip(masks, objects, strict=True)):
        mask, inside = ({tuple(pixel) for pixel in np.argwhere(each)} for each in (mask, inside))
        both = len(mask & inside)
        for share, whole in ((found.iou, mask | inside), (found.precision, mask), (found.recall, inside)):
            assert share[row] == pytest.approx(both / len(whole) if whole else 0, abs=1e-6)
            assert 0 <= share[row] <= 1
    turned = overlap(objects, masks)
    np.testing.assert_array_equal(found.iou, turned.iou)
    np.testing.assert_array_equal(found.precision, turned.recall)
    np.testing.assert_array_equal(overlap(masks, EMPTY).iou, 0)
    np.testing.assert_array_equal(overlap(FULL, objects).recall, objects.any(axis=(1, 2)))


def test_boxes_hold_the_pixels_whose_centre_they_hold():
    masks = masks_of_boxes([[(0, 0, 6, 5)], [(1, 2, 3, 4), (4.6, 0.5, 9, 1.5)], []], 5, 6)
    assert masks[0].all()
    assert np.argwhere(masks[1]).tolist() == [[0, 5], [2, 1], [2, 2], [3, 1], [3, 2]]
    assert not masks[2].any()


def test_maps_that_do_not_fit_are_refused():
    for metric in (pointing_game, energy_pointing_game, overlap):
        with pytest.raises(ValueError, match="masks_of_boxes"):
            metric(np.zeros((2, 5, 6)), np.zeros((2, 4)))
