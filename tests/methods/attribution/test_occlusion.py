"""Occlusion against a loop over its windows."""

import jax
import numpy as np
import pytest

from tests.methods.drawn import probabilities
from xaijax import Occlusion, explain
from xaijax.methods.attribution.occlusion import window_corners


def test_the_map_equals_a_loop_over_windows(toy_classifier, toy_images):
    method = Occlusion(evaluations=40, fill="black", window=0.3)
    result = jax.device_get(explain(jax.random.key(0), toy_classifier, toy_images, method=method))
    starts = [0, 2, 4, 7, 9, 11]  # 6 x 6 = 36 windows of 5 pixels fit into 38 evaluations
    for row in range(8):
        target = int(result.target[row])
        loss, windows = np.zeros((16, 16)), np.zeros((16, 16))
        for top in starts:
            for left in starts:
                mask = np.ones((16, 16))
                mask[top : top + 5, left : left + 5] = 0
                whole, masked = probabilities(toy_classifier, toy_images[row], [np.ones((16, 16)), mask], target, 0)
                loss += (1 - mask) * (whole - masked)
                windows += 1 - mask
        np.testing.assert_allclose(result.score[row], loss / windows, atol=2e-6)
        assert result.evaluations[row] == 38


@pytest.mark.parametrize(("height", "width", "side", "most"), [(16, 16, 5, 38), (30, 20, 4, 1000), (9, 9, 8, 50)])
def test_windows_cover_every_pixel_within_the_budget(height, width, side, most):
    corners = window_corners(height, width, side, most=most)
    assert len(corners) <= most
    assert len(np.unique(corners, axis=0)) == len(corners)
    np.testing.assert_array_equal(corners.min(axis=0), [0, 0])
    np.testing.assert_array_equal(corners.max(axis=0), [height - side, width - side])


@pytest.mark.parametrize("options", [{"window": 0}, {"window": 1.0}, {"evaluations": 2}, {"fill": "segment-mean"}])
def test_bad_options_say_what_is_needed(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Occlusion(**options)
