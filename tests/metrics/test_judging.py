"""Judging fills: curves and masks under any fill, and the share of fills under which a mask holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import ELIME, Classifier, Grid, explain
from xaijax.metrics import JUDGING_FILLS, area_under_curve, insertion_curve, judge, judging_fills, transfer

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(0)


def rising_logits(_, images):
    """Sees the class where the image brightens from its second quarter to its last."""
    rise = images[:, :, 12:].mean(axis=(1, 2, 3)) - images[:, :, 4:8].mean(axis=(1, 2, 3))
    return jnp.stack([40 * (rise - 0.3), jnp.zeros_like(rise)], axis=1)


@pytest.fixture(scope="module")
def rising():
    """Its classifier, and two photographs that brighten in different ways."""
    ramp = np.linspace(0.1, 0.9, 16)[None, None, :, None] * np.ones((2, 16, 16, 3))
    ramp[1] = ramp[1] ** 1.2
    images = np.round(255 * ramp).astype(np.uint8)
    return Classifier.from_function(rising_logits, {}, num_classes=2, input_size=(16, 16)), images


def test_a_classifier_that_sees_only_a_blurred_background_gets_transfer_0(rising):
    classifier, images = rising
    method = ELIME(evaluations=60, segmentation=Grid(4, 4), fill="blur", max_segments=32)
    found = jax.device_get(explain(KEY, classifier, images, [0, 0], method=method))
    assert (found.area == 1 / 16).all()  # any segment will do: the rest shows through its blur
    holds = {}
    for name in JUDGING_FILLS:
        fills = judging_fills(name, images, mean=classifier.mean, elsewhere=images[::-1, :, ::-1])
        holds[name] = judge(classifier, images, found.score, found.mask, found.target, fills=fills, steps=4).keeps()
    assert holds["blur"].all()
    np.testing.assert_array_equal(transfer(holds, "blur"), 0)


def test_the_figures_are_those_of_their_definitions(toy_classifier, toy_images):
    random = np.random.default_rng(0)
    scores = random.normal(size=(3, 16, 16)).astype(np.float32)
    masks = random.random((3, 16, 16)) < 0.5
    images, targets = toy_images[:3], np.array([0, 1, 2])
    for name in JUDGING_FILLS:
        fills = judging_fills(name, images, mean=toy_classifier.mean, elsewhere=toy_images[3:6])
        found = judge(toy_classifier, images, scores, masks, targets, fills=fills, steps=8)

        def probability(kept, fills=fills):
            pixels = np.where(kept[..., None], images / np.float32(255), fills).astype(np.float32)
            logits = np.asarray(toy_classifier(pixels), np.float64)
            return np.exp(logits)[range(3), targets] / np.exp(logits).sum(axis=1)

        order = np.argsort(np.argsort(-scores.reshape(3, -1), axis=1), axis=1).reshape(scores.shape)
        inserted = np.stack([probability(order < count) for count in range(0, 257, 32)], axis=1)
        deleted = np.stack([probability(order >= count) for count in range(0, 257, 32)], axis=1)
        np.testing.assert_allclose(found.insertion, np.trapezoid(inserted, dx=1 / 8, axis=1), atol=1e-5)
        np.testing.assert_allclose(found.deletion, np.trapezoid(deleted, dx=1 / 8, axis=1), atol=1e-5)
        np.testing.assert_allclose(found.masked, probability(masks), atol=1e-5)
        enough = found.inserted >= 0.9 * found.original[:, None]
        np.testing.assert_array_equal(found.smallest_area, np.argmax(enough, axis=1) / 8)
        np.testing.assert_array_equal(found.keeps(), found.masked >= 0.9 * found.original)
        np.testing.assert_array_equal(found.loses(0.5), found.masked <= 0.5 * found.original)


def test_elsewhere_is_the_same_place_in_another_photograph(toy_images):
    fills = judging_fills("elsewhere", toy_images[:2], mean=(0.5,) * 3, elsewhere=toy_images[2:4])
    np.testing.assert_allclose(fills, toy_images[2:4] / 255, atol=1e-6)
    np.testing.assert_array_equal(judging_fills("black", toy_images[:2], mean=(0.5,) * 3), 0)


def test_a_curve_with_a_judging_fill_is_the_metric_with_it(toy_classifier, toy_images):
    scores = np.random.default_rng(1).normal(size=(2, 16, 16)).astype(np.float32)
    fills = judging_fills("image-mean", toy_images[:2], mean=toy_classifier.mean)
    curve = insertion_curve(toy_classifier, toy_images[:2], scores, [0, 0], steps=4, fills=fills)
    masks = np.ones((2, 16, 16), bool)
    found = judge(toy_classifier, toy_images[:2], scores, masks, [0, 0], fills=fills, steps=4)
    np.testing.assert_array_equal(found.insertion, area_under_curve(curve.fractions, curve.probability))


def test_transfer_leaves_out_the_fill_of_the_search_and_what_is_not_known():
    holds = {"black": [1, 0, 1], "blur": [0, 0, 0], "elsewhere": [1, 1, np.nan]}
    np.testing.assert_allclose(transfer(holds, "blur"), [1, 0.5, 1])
    np.testing.assert_allclose(transfer(holds, "black"), [0.5, 0.5, 0])
    np.testing.assert_allclose(transfer(holds, None), [2 / 3, 1 / 3, 0.5])
    np.testing.assert_allclose(transfer(holds, "blur+black"), [1, 1, np.nan])
    np.testing.assert_array_equal(transfer({"blur": [1.0]}, "blur"), [np.nan])
    np.testing.assert_array_equal(transfer({"elsewhere": [np.nan]}, "blur"), [np.nan])


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        ("segment-mean", "segments of a search"),
        ("red", "choose one of black"),
        ("elsewhere", "needs another photograph"),
    ],
)
def test_what_cannot_judge_says_so(toy_images, fill, message):
    with pytest.raises(ValueError, match=message):
        judging_fills(fill, toy_images, mean=(0.5,) * 3)
