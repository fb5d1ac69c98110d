"""Many seeds as one call, against a call a seed."""

import itertools

import jax
import numpy as np
import pytest

from xaijax import ELIME, BinaryMasks, Grid, explain
from xaijax.batch import image_keys, make_batch
from xaijax.fitness import Targets
from xaijax.metrics import overlap_above_chance

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(2)
METHOD = ELIME(evaluations=40, segmentation=Grid(4, 4), max_segments=32)


@pytest.mark.slow
def test_the_first_seed_is_the_run_without_repeats_and_the_others_differ(toy_classifier, toy_images):
    plain = explain(KEY, toy_classifier, toy_images, method=METHOD)
    many = explain(KEY, toy_classifier, toy_images, method=METHOD, repeats=5)
    for field in ("genome", "mask", "score", "probability", "history", "status", "image_index", "target"):
        np.testing.assert_array_equal(getattr(many, field), getattr(plain, field), err_msg=field)
    stability = many.stability
    np.testing.assert_array_equal(stability.genome[:, 0], plain.genome)
    for one, other in itertools.combinations(range(5), 2):
        same = np.all(stability.genome[:, one] == stability.genome[:, other], axis=1)
        assert not np.all(same), f"seeds {one} and {other} found the same masks"
    assert plain.stability is None
    assert np.all(np.asarray(many.evaluations) > np.asarray(plain.evaluations))


@pytest.mark.slow
def test_the_figures_are_those_of_the_masks(toy_classifier, toy_images):
    many = explain(KEY, toy_classifier, toy_images, "top2", method=METHOD, repeats=3)
    stability = many.stability
    bits = np.asarray(stability.genome)[..., 0]
    masks = (bits[:, :, None, None] >> np.asarray(many.segments, np.uint32)[:, None]) & 1
    masks = masks.astype(bool)
    np.testing.assert_array_equal(masks[:, 0], many.mask)
    np.testing.assert_allclose(stability.frequency, masks.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(stability.area, masks.mean(axis=(2, 3)), rtol=1e-6)
    np.testing.assert_allclose(stability.overlap, overlap_above_chance(masks.swapaxes(0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(stability.probability[:, 0], many.probability)


@pytest.mark.parametrize("method", [METHOD, BinaryMasks(evaluations=40)])
def test_seeds_of_an_image_share_its_pixels_its_fill_and_its_activations(toy_classifier, toy_images, method):
    targets = Targets.of(np.full(2, -1, np.int32))
    words, batch = make_batch(np.zeros((2, 2), np.uint32), toy_images[:2], targets, repeats=30)
    evolution = jax.eval_shape(lambda: method.begin(image_keys(KEY, words), toy_classifier, batch))
    scenario = evolution.scenario
    assert {len(leaf) for leaf in jax.tree.leaves((scenario.images, scenario.fills, scenario.references))} == {2}
    assert len(scenario.source) == len(evolution.merged) == 60


def test_no_repeat_has_a_key_that_the_first_one_splits_off():
    words, _ = make_batch(
        np.zeros((1, 2), np.uint32), np.zeros((1, 4, 4, 3)), Targets.of(np.zeros(1, np.int32)), repeats=9
    )
    keys = image_keys(KEY, words)
    split_off = jax.vmap(lambda key: jax.random.split(key, 64))(keys[:1]).reshape(-1)
    used = {tuple(words) for words in np.asarray(jax.random.key_data(split_off))}
    assert not used & {tuple(words) for words in np.asarray(jax.random.key_data(keys[1:]))}
