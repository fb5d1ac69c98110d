"""Connected components against SciPy's labelling, and the joining of small ones."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from xaijax.masks.segmentation.components import connected_components, merge_small, number_in_order

SHAPE = (9, 12)
SMALLEST = 5

components_of = jax.jit(connected_components)
merged = jax.jit(functools.partial(merge_small, smallest=SMALLEST))


def noise(seed):
    random = np.random.default_rng(seed)
    return random.integers(0, random.integers(2, 4), SHAPE, np.int32)


label_maps = arrays(np.int32, SHAPE, elements=st.integers(0, 2)) | st.integers(0, 10**6).map(noise)


def components_by_scipy(labels):
    """Names every region by the raster index of its first pixel."""
    index = np.arange(labels.size).reshape(labels.shape)
    names = np.empty_like(index)
    for value in np.unique(labels):
        regions, count = ndimage.label(labels == value)
        for region in range(1, count + 1):
            names[regions == region] = index[regions == region].min()
    return names


def spiral():
    """A path one pixel wide from the corner inwards, never touching itself."""
    labels = np.zeros(SHAPE, np.int32)
    (y, x), (dy, dx) = (0, 0), (0, 1)
    labels[0, 0] = 1
    for _ in range(2 * labels.size):
        ahead, beyond = (y + dy, x + dx), (y + 2 * dy, x + 2 * dx)
        inside = all(0 <= position < side for position, side in zip(ahead, SHAPE, strict=True))
        open_beyond = (
            not all(0 <= position < side for position, side in zip(beyond, SHAPE, strict=True)) or not labels[beyond]
        )
        if inside and open_beyond and not labels[ahead]:
            y, x = ahead
            labels[y, x] = 1
        else:
            dy, dx = dx, -dy
    return labels


def comb():
    """Teeth that only the last row joins."""
    labels = np.tile(np.arange(SHAPE[1], dtype=np.int32) % 2, (SHAPE[0], 1))
    labels[-1] = 1
    return labels


SHAPES = {
    "constant": np.full(SHAPE, 7, np.int32),
    "checkerboard": (np.indices(SHAPE).sum(axis=0) % 2).astype(np.int32),
    "spiral": spiral(),
    "comb": comb(),
    "upside-down comb": comb()[::-1].copy(),
}


@settings(deadline=None, max_examples=60)
@given(labels=label_maps)
def test_components_are_those_of_scipy(labels):
    np.testing.assert_array_equal(components_of(labels), components_by_scipy(labels))


@pytest.mark.parametrize("name", SHAPES)
def test_components_that_wind(name):
    np.testing.assert_array_equal(components_of(SHAPES[name]), components_by_scipy(SHAPES[name]))
    if name in ("spiral", "constant"):
        assert np.unique(components_of(SHAPES[name])[SHAPES[name] > 0]).tolist() == [0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_components_of_a_line(shape):
    labels = np.resize(np.array([3, 3, 1, 3], np.int32), shape)
    np.testing.assert_array_equal(connected_components(labels), components_by_scipy(labels))


@settings(deadline=None, max_examples=60)
@given(labels=label_maps)
def test_small_components_join_the_one_before_their_first_pixel(labels):
    components = components_by_scipy(labels)
    expected = components.copy()
    for y, x in np.ndindex(SHAPE):  # a neighbour comes earlier, so it has its final name already
        name = components[y, x]
        is_first = name == y * SHAPE[1] + x
        if is_first and name > 0 and np.sum(components == name) < SMALLEST:
            expected[components == name] = expected[y, x - 1] if x else expected[y - 1, x]
    after = np.asarray(merged(components.astype(np.int32)))
    np.testing.assert_array_equal(after, expected)
    names, sizes = np.unique(after, return_counts=True)
    assert np.all(sizes[names > 0] >= SMALLEST), "only the one in the corner may stay small"
    for name in names:
        assert ndimage.label(after == name)[1] == 1, "what is joined hangs together"


@settings(deadline=None, max_examples=20)
@given(labels=label_maps)
def test_numbering_keeps_the_order(labels):
    components = components_by_scipy(labels).astype(np.int32)
    expected = np.unique(components, return_inverse=True)[1].reshape(SHAPE)
    np.testing.assert_array_equal(number_in_order(components), expected)
