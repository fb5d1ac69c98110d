"""Bits over segments against NumPy."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xaijax.masks.superpixels import decode, limit_segments, segment_means, segment_sizes

KEPT, BOUND = 4, 12
SHAPE = (5, 6)

limited = jax.jit(functools.partial(limit_segments, max_segments=KEPT, bound=BOUND))
numbered = jax.jit(functools.partial(limit_segments, max_segments=BOUND, bound=BOUND))
label_maps = arrays(np.int32, SHAPE, elements=st.sampled_from([0, 1, 3, 4, 7, 8, 11]))


def centre(labels, label):
    return np.argwhere(labels == label).mean(axis=0)


@pytest.mark.parametrize("words", [1, 3])
def test_decoding_keeps_the_segments_whose_bits_are_set(words):
    random = np.random.default_rng(0)
    bits = random.random(32 * words) < 0.5
    segments = random.permutation(np.arange(9 * 32) % (32 * words)).reshape(9, 32).astype(np.int32)
    genome = np.packbits(bits, bitorder="little").view("<u4")
    mask = jax.jit(decode)(segments, genome)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, bits[segments])


def test_sizes_and_means_of_segments():
    random = np.random.default_rng(0)
    values = random.random((*SHAPE, 3), np.float32)
    segments = random.choice([0, 2, 5], SHAPE).astype(np.int32)
    sizes = segment_sizes(segments, max_segments=7)
    np.testing.assert_array_equal(sizes, np.bincount(segments.ravel(), minlength=7))
    means = np.asarray(segment_means(values, segments, max_segments=7))
    for label in (0, 2, 5):
        np.testing.assert_allclose(means[label], values[segments == label].mean(axis=0), rtol=1e-5)
    assert not means[[1, 3, 4, 6]].any(), "an empty segment's mean is 0"


@settings(deadline=None, max_examples=60)
@given(labels=label_maps)
def test_few_segments_are_numbered_without_gaps_in_their_order(labels):
    segments, count, merged = numbered(labels)
    names, expected = np.unique(labels, return_inverse=True)
    np.testing.assert_array_equal(segments, expected.reshape(SHAPE))
    assert int(count) == len(names)
    assert not merged


@settings(deadline=None, max_examples=100)
@given(labels=label_maps)
def test_the_largest_segments_stay_and_each_other_joins_the_nearest(labels):
    segments, count, merged = limited(labels)
    names, sizes = np.unique(labels, return_counts=True)
    stay = sorted(names[np.argsort(-sizes, kind="stable")][:KEPT])  # of equals, the lower label
    assert int(count) == len(stay)
    assert bool(merged) == (len(names) > KEPT)
    for label in names:
        (number,) = set(np.asarray(segments)[labels == label])
        if label in stay:
            assert number == stay.index(label)
        else:
            distances = [np.sum((centre(labels, label) - centre(labels, other)) ** 2) for other in stay]
            assert distances[number] <= min(distances) + 1e-4


def test_several_genomes_are_not_taken_for_one():
    with pytest.raises(AssertionError, match="assert_rank"):
        decode(np.zeros((4, 4), np.int32), np.zeros((2, 1), np.uint32))
