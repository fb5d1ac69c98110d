"""RISE against a NumPy version."""

import jax
import numpy as np
import pytest

from tests.methods.drawn import image_key, probabilities
from xaijax import RISE, explain
from xaijax.methods.attribution.rise import draw_cells, paint

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(5)


def numpy_mask(cells, shift, height, width):
    """Enlarges cells to one cell more than the image by linear interpolation, and cuts the image out."""
    count = len(cells)
    sides = [-(-height // count), -(-width // count)]
    lines = []
    for side in sides:
        centres = (np.arange((count + 1) * side) + 0.5) * count / ((count + 1) * side) - 0.5
        lines.append(np.array([np.interp(centres, np.arange(count), unit) for unit in np.eye(count)]).T)
    top, left = int(shift[0] * sides[0]), int(shift[1] * sides[1])
    return (lines[0] @ cells @ lines[1].T)[top : top + height, left : left + width]


def test_the_map_equals_a_numpy_version(toy_classifier, toy_images):
    method = RISE(evaluations=120, fill="black", cells=5, keep=0.4)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, ids=np.arange(8), method=method))
    for row in range(8):
        genome = draw_cells(image_key(KEY, row), count=118, cells=5, keep=0.4)
        pairs = zip(np.asarray(genome.cells, np.float64), np.asarray(genome.shift), strict=True)
        masks = np.stack([numpy_mask(cells, shift, 16, 16) for cells, shift in pairs])
        response = probabilities(toy_classifier, toy_images[row], masks, int(result.target[row]), 0)
        expected = np.einsum("n,nhw->hw", response, masks) / 118 / 0.4
        np.testing.assert_allclose(result.score[row], expected, atol=2e-5)
        assert result.mask[row].sum() == round(0.3 * 256)
        assert result.score[row][result.mask[row]].min() >= result.score[row][~result.mask[row]].max()


def test_masks_are_right_on_images_that_are_not_square():
    genome = draw_cells(KEY, count=3, cells=8, keep=0.5)
    for index in range(3):
        one = jax.tree.map(lambda leaf, index=index: leaf[index], genome)
        expected = numpy_mask(np.asarray(one.cells, np.float64), np.asarray(one.shift), 30, 53)
        np.testing.assert_allclose(paint(one, height=30, width=53), expected, atol=1e-5)


def test_the_first_masks_do_not_depend_on_the_number():
    few, many = (draw_cells(KEY, count=count, cells=8, keep=0.5) for count in (10, 40))
    np.testing.assert_array_equal(few.cells, many.cells[:10])
    np.testing.assert_array_equal(few.shift, many.shift[:10])


@pytest.mark.parametrize("options", [{"cells": 1}, {"keep": 0}, {"keep": 1.0}, {"area": 1}, {"fill": "segment-mean"}])
def test_bad_options_say_what_is_needed(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        RISE(**options)
