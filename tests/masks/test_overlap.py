"""Agreement of masks over seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from xaijax.masks.overlap import overlap_above_chance

MASKS = hnp.arrays(np.bool_, (3, 2, 4, 5))


@given(MASKS)
def test_overlap_above_chance(masks):
    for row, found in enumerate(overlap_above_chance(masks)):
        agreements = []
        for first, second in ((0, 1), (0, 2), (1, 2)):
            a, b = masks[first, row], masks[second, row]
            either = (a | b).sum()
            if not either or (a.all() and b.all()):
                agreements.append(0)
                continue
            expected = a.mean() * b.mean() / (a.mean() + b.mean() - a.mean() * b.mean())
            agreements.append(((a & b).sum() / either - expected) / (1 - expected))
        np.testing.assert_allclose(found, np.mean(agreements), atol=1e-6)
        assert found <= 1 + 1e-9
    np.testing.assert_allclose(overlap_above_chance(masks), overlap_above_chance(masks[::-1]), atol=1e-12)


def test_equal_masks_agree_and_random_ones_by_chance_alone():
    random = np.random.default_rng(0)
    masks = random.random((6, 2, 100, 100)) < np.array([0.3, 0.8])[:, None, None]
    assert np.abs(overlap_above_chance(masks)).max() < 0.01
    np.testing.assert_allclose(overlap_above_chance(np.stack([masks[0]] * 3)), 1)
    for trivial in (np.zeros_like(masks), np.ones_like(masks)):
        np.testing.assert_array_equal(overlap_above_chance(trivial), 0)
    with pytest.raises(ValueError, match="at least two"):
        overlap_above_chance(masks[:1])
