"""Sparseness and entropy from their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaijax.metrics import entropy, sparseness

pytestmark = pytest.mark.quick_compile

SCORES = hnp.arrays(np.float32, (2, 3, 4), elements=st.integers(-5, 5))
FLAT, POINT = np.ones((1, 3, 4)), np.eye(12)[:1].reshape(1, 3, 4)


@given(SCORES)
def test_sparseness_is_the_gini_index(scores):
    for found, score in zip(sparseness(scores), scores, strict=True):
        values = [abs(float(value)) for value in score.ravel()]
        mean = sum(values) / 12
        differences = sum(abs(a - b) for a in values for b in values)  # Gini's mean difference
        expected = differences / (2 * 12**2 * mean) if mean else 0
        np.testing.assert_allclose(found, expected, atol=1e-6)


@given(SCORES)
def test_entropy_is_that_of_the_shares(scores):
    for found, score in zip(entropy(scores), scores, strict=True):
        values = [abs(float(value)) for value in score.ravel()]
        shares = [value / sum(values) if sum(values) else 1 / 12 for value in values]
        np.testing.assert_allclose(found, -sum(p * math.log(p) for p in shares if p > 0), atol=1e-6)


@given(SCORES, st.permutations(range(12)), st.sampled_from([-3.0, 0.1, 1e30]))
def test_laws(scores, order, factor):
    shuffled = scores.reshape(2, -1)[:, order].reshape(scores.shape).astype(np.float64) * factor
    for metric, low, high in ((sparseness, 0, 1 - 1 / 12), (entropy, 0, math.log(12))):
        np.testing.assert_allclose(metric(scores), metric(shuffled), atol=1e-9)
        assert (metric(scores) >= low).all()
        assert (metric(scores) <= high + 1e-9).all()


def test_the_flat_the_empty_and_the_pointed_map():
    for flat in (FLAT, 0 * FLAT):
        np.testing.assert_allclose([sparseness(flat)[0], entropy(flat)[0]], [0, math.log(12)], atol=1e-12)
    np.testing.assert_allclose([sparseness(POINT)[0], entropy(POINT)[0]], [11 / 12, 0], atol=1e-12)
