"""Counts and orders by comparing all pairs, against NumPy's."""

import numpy as np
import pytest

from xaijax.pairwise import falling_ranks, running_count

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("size", [1, 2, 33, 512, 513])
def test_counts_are_numpys(size):
    flags = RANDOM.random(size) < 0.4
    np.testing.assert_array_equal(running_count(flags), np.cumsum(flags))


@pytest.mark.parametrize("size", [1, 5, 40])
def test_ranks_fall_and_ties_stay_in_their_order(size):
    values = np.round(RANDOM.normal(size=size), 1).astype(np.float32)
    values[0] = -np.inf
    order = sorted(range(size), key=lambda index: (-values[index], index))
    expected = np.empty(size, int)
    expected[order] = np.arange(size)
    np.testing.assert_array_equal(falling_ranks(values), expected)
