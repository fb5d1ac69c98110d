"""Agreement over seeds and sensitivity to noise."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaijax.metrics import noisy_scores, overlap_above_chance, sensitivity

MASKS = hnp.arrays(np.bool_, (3, 2, 4, 5))
VALUES = st.floats(-1, 1, width=16)


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


@given(hnp.arrays(np.float32, (2, 3, 4), elements=VALUES), hnp.arrays(np.float32, (5, 2, 3, 4), elements=VALUES))
def test_sensitivity(scores, noisy):
    worst, mean = sensitivity(scores, noisy)
    for row in range(2):
        change = [np.sqrt(((other - scores[row]).astype(float) ** 2).sum()) for other in noisy[:, row]]
        size = np.sqrt((scores[row].astype(float) ** 2).sum())
        relative = [each / size if size else (np.inf if each else 0) for each in change]
        np.testing.assert_allclose([worst[row], mean[row]], [max(relative), sum(relative) / 5], rtol=1e-6, atol=1e-6)
    assert (mean <= worst * (1 + 1e-9)).all()
    np.testing.assert_array_equal(sensitivity(scores, np.stack([scores] * 5)), 0)


def test_noise_stays_within_its_radius_and_is_the_same_in_any_batch(toy_classifier, toy_images):
    seen = []

    def explainer(classifier, images):
        seen.append(np.asarray(images))
        return images.mean(axis=3)

    scores, noisy = noisy_scores(jax.random.key(0), toy_classifier, toy_images[:4], explainer, radius=0.1, draws=3)
    assert noisy.shape == (3, 4, 16, 16)
    *with_noise, without = seen
    np.testing.assert_allclose(without, toy_images[:4] / 255, atol=1e-6)
    np.testing.assert_allclose(scores, without.mean(axis=3), atol=1e-6)
    for images in with_noise:
        assert 0 <= images.min() <= images.max() <= 1
        assert 0.09 < np.abs(images - without).max() <= 0.1 + 1e-6
    assert len({images.tobytes() for images in with_noise}) == 3
    again = noisy_scores(jax.random.key(0), toy_classifier, toy_images[2:3], explainer, radius=0.1, draws=3)[1]
    np.testing.assert_allclose(again[:, 0], noisy[:, 2], atol=1e-6)
    with pytest.raises(ValueError, match="at least 1"):
        noisy_scores(jax.random.key(0), toy_classifier, toy_images[:1], explainer, draws=0)
