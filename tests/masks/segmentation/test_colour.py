"""CIE L*a*b* against scikit-image."""

import jax
import numpy as np
from skimage.color import rgb2lab

from xaijax.masks.segmentation.colour import rgb_to_lab


def test_lab_is_that_of_scikit_image():
    levels = np.concatenate([np.linspace(0, 0.06, 7), np.linspace(0.1, 1, 10)])  # the curve bends at 0.04045
    pixels = np.stack(np.meshgrid(levels, levels, levels), axis=-1).astype(np.float32)
    expected = rgb2lab(pixels.astype(np.float64))
    # The constants of both round the curve's bend, so that a step of 2e-3 is left beside it.
    np.testing.assert_allclose(jax.jit(rgb_to_lab)(pixels), expected, atol=3e-3)


def test_white_black_and_grey_are_without_colour():
    lab = np.asarray(rgb_to_lab(np.array([[1, 1, 1], [0, 0, 0], [0.5, 0.5, 0.5]], np.float32)))
    np.testing.assert_allclose(lab[:, 0], [100, 0, 53.39], atol=0.01)
    np.testing.assert_allclose(lab[:, 1:], 0, atol=0.02)
