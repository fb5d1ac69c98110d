"""Quickshift against scikit-image, and its order of ties."""

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.segmentation import quickshift

from tests.masks.segmentation.test_slic import adjusted_rand_index, smooth_picture
from tests.shared_data import shared
from xaijax.masks.segmentation import Quickshift

SHAPE = (40, 60)
SCALE = 60 / 224  # all lengths are those of an image whose longer side is 224


def of_this_size(kernel, ratio, max_distance):
    return Quickshift(kernel=kernel / SCALE, ratio=ratio / SCALE, max_distance=max_distance / SCALE)


def by_scikit_image(image, kernel, ratio, max_distance):
    return quickshift(image.astype(np.float64), ratio=ratio, kernel_size=kernel, max_dist=max_distance, rng=0)


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "ratio", "max_distance"), [(1.4, 0.2, 50), (2.0, 0.5, 3), (2.0, 0.0, 4)])
def test_segments_are_scikit_images(kernel, ratio, max_distance):
    for seed in range(3):
        image = smooth_picture(seed, SHAPE)
        found = np.asarray(jax.jit(of_this_size(kernel, ratio, max_distance))(image))
        expected = by_scikit_image(image, kernel, ratio, max_distance)
        if ratio > 0:  # without colour every pixel inside is as dense as its neighbours: ties alone decide
            assert adjusted_rand_index(found, expected) > 0.99
        assert found.max() < of_this_size(kernel, ratio, max_distance).label_bound(*SHAPE)
        assert np.array_equal(np.unique(found), np.arange(found.max() + 1))


def test_photographs_at_limes_settings():
    found = sorted(shared("images/imagenet_samples").glob("*.*"))[5:100:25]
    for path in found:
        image = np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32) / 255
        own = np.asarray(jax.jit(Quickshift())(image))
        one, other = (quickshift(image.astype(np.float64), 0.2, 4, 200, rng=seed) for seed in (0, 1))
        if adjusted_rand_index(one, other) > 0.999:
            assert adjusted_rand_index(own, one) >= 0.99


def test_an_enlarged_image_keeps_its_segments():
    image = smooth_picture(0, SHAPE)
    small = np.asarray(jax.jit(Quickshift(kernel=8))(image))
    large = np.asarray(jax.jit(Quickshift(kernel=8))(ndimage.zoom(image, (2, 2, 1), order=1).clip(0, 1)))
    assert abs(int(small.max()) - int(large.max())) <= 2
    assert adjusted_rand_index(small, large[::2, ::2]) > 0.8


def test_ties_go_to_the_first_in_raster_order():
    flat = np.full((24, 24, 3), 0.5, np.float32)
    labels = np.asarray(jax.jit(Quickshift(kernel=12))(flat))
    np.testing.assert_array_equal(labels, np.asarray(jax.jit(Quickshift(kernel=12))(flat)))
    # All inner pixels are equally dense, so that each hangs on a neighbour before it: one tree.
    assert labels.max() == 0


def test_grey_images_are_segmented_by_their_brightness():
    image = np.zeros((30, 30, 1), np.float32)
    image[:, 15:] = 1.0
    labels = np.asarray(jax.jit(Quickshift(kernel=8, ratio=1.0))(image))
    assert not set(np.unique(labels[:, :14])) & set(np.unique(labels[:, 16:]))


@pytest.mark.parametrize("options", [{"kernel": 0}, {"ratio": -1}, {"max_distance": 0}])
def test_bad_options_say_what_is_needed(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))} is .* but must be (at least|above) 0"):
        Quickshift(**options)
