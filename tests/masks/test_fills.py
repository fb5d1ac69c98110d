"""Fills against NumPy, and the blur against SciPy."""

import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from xaijax.classifier import to_unit_range
from xaijax.masks.fills import BLUR_SIGMA, check_fill, gaussian_blur, make_fill, make_plain_fills

PIXELS = np.random.default_rng(0).random((14, 9, 3), np.float32)
SEGMENTS = (np.arange(14)[:, None] // 5 * 2 + np.arange(9)[None] // 5).astype(np.int32)
MEAN = (0.4, 0.5, 0.6)

blur = jax.jit(gaussian_blur, static_argnums=(1, 2))


def fill(name, pixels=PIXELS):
    return np.asarray(make_fill(name, pixels, SEGMENTS, max_segments=8, mean=MEAN[: pixels.shape[2]]))


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("black", (0, 0, 0)),
        ("dataset-mean", MEAN),
        ("image-mean", PIXELS.mean(axis=(0, 1))),
        ("#ff8000", (1, 128 / 255, 0)),
        ("#FF8000", (1, 128 / 255, 0)),
    ],
)
def test_fills_of_one_colour(name, colour):
    assert fill(name).shape == (1, 1, 3)
    np.testing.assert_allclose(fill(name)[0, 0], colour, rtol=1e-6)


def test_a_colour_on_a_grey_image_is_its_luminance():
    np.testing.assert_allclose(fill("#ff8000", PIXELS[..., :1]), [[[0.299 + 0.587 * 128 / 255]]], rtol=1e-6)


def test_a_colour_needs_one_channel_or_three():
    with pytest.raises(ValueError, match="needs an image of 1 or 3 channels, not 2"):
        fill("#ff8000", PIXELS[..., :2])


def test_the_segment_mean_is_flat_within_each_segment():
    filled = fill("segment-mean")
    for label in range(6):
        inside = np.equal(SEGMENTS, label)
        expected = np.broadcast_to(PIXELS[inside].mean(axis=0), filled[inside].shape)
        np.testing.assert_allclose(filled[inside], expected, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.3, 0.625, 2.5, 7.0], ids="sigma {}".format)
def test_the_blur_is_that_of_scipy(sigma):
    # At sigma 7 the kernel reaches past the image, so that it is mirrored more than once.
    expected = gaussian_filter(PIXELS.astype(np.float64), (sigma, sigma, 0), mode="reflect", truncate=4)
    np.testing.assert_allclose(blur(PIXELS, sigma), expected, atol=2e-6)


def test_the_blur_can_be_cut_off_earlier():
    expected = gaussian_filter(PIXELS.astype(np.float64), (5, 5, 0), mode="reflect", radius=(5, 5, 0))
    np.testing.assert_allclose(blur(PIXELS, 5.0, 5), expected, atol=2e-6)


def test_the_blur_grows_with_the_image():
    np.testing.assert_array_equal(fill("blur"), gaussian_blur(PIXELS, BLUR_SIGMA * 14))


@pytest.mark.parametrize("name", ["grey", "#12345", "#1234567", "808080", "#12345g", "", "#123456\n"])
def test_an_unknown_fill_is_refused_and_the_known_are_named(name):
    with pytest.raises(ValueError, match=r"choose one of black, .*blur, or a colour such as '#808080'\."):
        check_fill(name)


@pytest.mark.parametrize("name", ["black", "dataset-mean", "image-mean", "segment-mean", "blur", "#0aF9c3"])
def test_what_is_accepted_can_be_made(name):
    check_fill(name)
    filled = fill(name)
    assert filled.dtype == np.float32
    assert 0 <= filled.min() <= filled.max() <= 1


@pytest.mark.parametrize("name", ["image-mean", "blur"])
def test_an_image_alone_gets_the_bits_that_it_gets_among_others(name):
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), np.uint8)
    fills = jax.jit(lambda images: make_plain_fills(name, to_unit_range(images), mean=MEAN))
    alone = np.concatenate([fills(images[i : i + 1]) for i in range(5)])
    np.testing.assert_array_equal(alone, fills(images))
