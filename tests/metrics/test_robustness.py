"""Sensitivity to noise."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaijax.metrics import noisy_scores, sensitivity

pytestmark = pytest.mark.quick_compile

VALUES = st.floats(-1, 1, width=16)


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
