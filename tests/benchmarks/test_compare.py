"""Differences of quality in words: an interval that holds zero is no difference."""

import numpy as np
import pytest

from benchmarks.common.compare import NO_DIFFERENCE, less, mean_of, verdict


def test_a_difference_is_paired_by_image():
    one, other = {"a": 0.5, "b": 0.75, "c": 1.0}, {"b": 0.25, "a": 0.5, "d": 0.0}
    assert less(one, other) == {"a": 0.0, "b": 0.5}


def test_images_that_differ_much_decide_a_small_difference_that_all_share():
    random = np.random.default_rng(0)
    one = {str(index): value for index, value in enumerate(random.uniform(0, 1, 50))}
    other = {name: value - 0.01 + random.normal(scale=0.002) for name, value in one.items()}
    assert verdict(mean_of(less(one, other)), 1, 50) == "better"
    assert verdict(mean_of(less(one, other)), -1, 50) == "worse"


@pytest.mark.parametrize(
    ("difference", "sign", "images", "said"),
    [
        ([0.2, 0.1, 0.3], 1, 10, "better"),
        ([0.2, 0.1, 0.3], -1, 10, "worse"),
        ([-0.2, -0.3, -0.1], -1, 10, "better"),
        ([0.2, -0.01, 0.3], 1, 10, NO_DIFFERENCE),
        ([0.2, 0.0, 0.3], 1, 10, NO_DIFFERENCE),
        ([0.2, 0.1, 0.3], 1, 4, "too few images"),
        (None, 1, 0, "too few images"),
    ],
)
def test_the_words_follow_the_interval(difference, sign, images, said):
    assert verdict(difference, sign, images) == said
