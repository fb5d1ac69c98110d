"""The mean of a metric and its interval."""

import numpy as np
import pytest

from xaijax.metrics import summarise

pytestmark = pytest.mark.quick_compile


def test_the_interval_holds_the_mean_and_has_the_usual_width():
    values = np.random.default_rng(0).normal(3, 2, 400)
    summary = summarise(values)
    assert summary.mean == values.mean()
    np.testing.assert_allclose(summary.high - summary.low, 2 * 1.96 * values.std() / 20, rtol=0.1)
    assert summary.low < summary.mean < summary.high
    assert summary.images == 400
    assert summarise(values) == summary


def test_images_without_a_figure_are_left_out():
    summary = summarise([np.nan, 2.0, 2.0])
    assert (summary.mean, summary.low, summary.high, summary.images) == (2, 2, 2, 2)
    nothing = summarise([np.nan])
    assert nothing.images == 0
    assert np.isnan(nothing.mean)


def test_flags_are_rates():
    assert summarise(np.array([True, False, True, True])).mean == 0.75
