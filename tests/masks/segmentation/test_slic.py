"""SLIC against scikit-image, and what holds of every label map."""

import functools

import jax
import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import slic

from xaijax.masks.segmentation import SLIC

SHAPE = (40, 60)
SEGMENTS = 24  # cells of 10x10, so that both start from the same grid


def smooth_picture(seed, shape=SHAPE, channels=3):
    picture = ndimage.gaussian_filter(np.random.default_rng(seed).random((*shape, channels)), (4, 4, 0))
    return ((picture - picture.min()) / np.ptp(picture)).astype(np.float32)


@functools.cache
def compiled(segmentation):
    return jax.jit(segmentation)


def segment(segmentation, image):
    labels = np.asarray(compiled(segmentation)(image))
    assert labels.dtype == np.int32
    assert labels.shape == image.shape[:2]
    names, first = np.unique(labels, return_index=True)
    np.testing.assert_array_equal(names, np.arange(len(names)), err_msg="numbered without gaps")
    assert np.all(np.diff(first) > 0), "in the order of their first pixels"
    assert labels.max() < segmentation.label_bound(*labels.shape)
    for name in names:
        assert ndimage.label(labels == name)[1] == 1, "a segment hangs together"
    return labels


def adjusted_rand_index(first, second):
    """The share of pixel pairs on which two partitions agree, 0 for chance and 1 for the same."""
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first.ravel(), second.ravel()), 1)
    agree, rows, columns, pairs = (
        np.sum(count * (count - 1) / 2)
        for count in (table, table.sum(axis=1), table.sum(axis=0), np.array([table.sum()]))
    )
    chance = rows * columns / pairs
    return (agree - chance) / ((rows + columns) / 2 - chance)


def test_the_rand_index_itself():
    halves, quarters = np.repeat([0, 1], 4), np.repeat([0, 1, 2, 3], 2)
    assert adjusted_rand_index(halves, 1 - halves) == 1
    # 4 pairs agree of 12 and 4 within, 28 in all: chance is 12 * 4 / 28.
    assert adjusted_rand_index(halves, quarters) == pytest.approx((4 - 12 / 7) / (8 - 12 / 7))


# At a low compactness rounding decides which centre a pixel between two goes to, and small components are joined to
# another neighbour: the bounds lie just below what was measured.
@pytest.mark.parametrize(("compactness", "seed", "bound"), [(40.0, 0, 0.97), (10.0, 1, 0.9)])
def test_segments_are_those_of_scikit_image(compactness, seed, bound):
    image = smooth_picture(seed)
    labels = segment(SLIC(segments=SEGMENTS, compactness=compactness), image)
    expected = slic(
        image.astype(np.float64), n_segments=SEGMENTS, compactness=compactness, max_num_iter=10, start_label=0
    )
    assert adjusted_rand_index(labels, expected) >= bound


def test_grey_segments_are_those_of_scikit_image():
    image = smooth_picture(2, channels=1)
    labels = segment(SLIC(segments=SEGMENTS, compactness=40.0), image)
    # Ours takes grey as lightness, 0 to 100, so that compactness means the same as in colour.
    expected = slic(
        image.astype(np.float64), n_segments=SEGMENTS, compactness=0.4, max_num_iter=10, start_label=0, channel_axis=-1
    )
    assert adjusted_rand_index(labels, expected) >= 0.9


def test_a_constant_image_is_cut_by_position_alone_as_in_scikit_image():
    image = np.full((*SHAPE, 3), 0.5, np.float32)
    labels = segment(SLIC(segments=SEGMENTS, compactness=40.0), image)
    expected = slic(image, n_segments=SEGMENTS, compactness=40, max_num_iter=10, start_label=0)
    np.testing.assert_array_equal(labels, expected)  # pixels half way between two centres go to the first
    assert labels.max() + 1 == SEGMENTS


def test_segments_follow_an_edge():
    image = np.zeros((*SHAPE, 3), np.float32)
    image[:, 33:] = (1, 0.5, 0)
    labels = segment(SLIC(segments=SEGMENTS, compactness=10.0), image)
    assert not set(labels[:, :33].ravel()) & set(labels[:, 33:].ravel())


@pytest.mark.parametrize(("shape", "segments"), [((1, 1), 1), ((3, 5), 64)])
def test_tiny_images(shape, segments):
    assert segment(SLIC(), smooth_picture(0, shape)).max() + 1 <= segments


@pytest.mark.parametrize("options", [{"segments": 0}, {"iterations": 0}, {"compactness": 0.0}, {"compactness": np.nan}])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))} is .* but must be (at least 1|above 0)"):
        SLIC(**options)
