"""The controls that do not evolve: random search and designed masks."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.methods.drawn import image_key, probabilities
from xaijax import DesignedMasks, Grid, RandomSearch, explain
from xaijax.genetic.bit_genome import unpack
from xaijax.methods.attribution.control import distinct_masks

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(5)


@pytest.mark.slow
def test_random_search_returns_the_fittest_of_its_masks(toy_classifier, toy_images):
    method = RandomSearch(evaluations=60, segmentation=Grid(4, 4), fill="black", area_weight=0.3)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, ids=np.arange(8), method=method))
    for row in range(8):
        bits = np.asarray(unpack(distinct_masks(image_key(KEY, row), np.int32(16), count=59, words=4), 16))
        target = int(result.target[row])
        probability = probabilities(toy_classifier, toy_images[row], bits[:, result.segments[row]], target, 0)
        fitness = probability - 0.3 * bits.mean(axis=1)
        np.testing.assert_allclose(result.probability[row] - 0.3 * result.area[row], fitness.max(), atol=1e-5)
        assert result.evaluations[row] == 60


@pytest.mark.slow
def test_designed_masks_are_pairs_and_nested_prefixes(toy_classifier, toy_images):
    method = DesignedMasks(evaluations=80, prefixes=10, segmentation=Grid(4, 4), fill="black", area_weight=0.3)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, ids=np.arange(8), method=method))
    for row in range(8):
        bits = np.asarray(unpack(distinct_masks(image_key(KEY, row), np.int32(16), count=69, words=4), 16))
        order = np.argsort(-result.segment_score[row, :16], kind="stable")  # equal areas: the density ranks alike
        prefixes = [np.isin(result.segments[row], order[:keep]) for keep in range(1, 16)]
        target = int(result.target[row])
        fitness = probabilities(toy_classifier, toy_images[row], prefixes, target, 0) - 0.3 * np.arange(1, 16) / 16
        wanted = np.unique(np.ceil(np.arange(1, 11) * 16 / 11).astype(int))
        found = result.probability[row] - 0.3 * result.area[row]
        of_pairs = probabilities(toy_classifier, toy_images[row], bits[:, result.segments[row]], target, 0)
        of_pairs -= 0.3 * bits.mean(axis=1)
        np.testing.assert_allclose(found, max(fitness[wanted - 1].max(), of_pairs.max()), atol=1e-5)
        assert 0 < result.area[row] < 1
        assert result.evaluations[row] == 80


@pytest.mark.parametrize("segments", [2, 3, 5, 9, 10, 40])
def test_masks_are_distinct_and_neither_empty_nor_whole(segments):
    masks = distinct_masks(KEY, np.int32(segments), count=999, words=2)
    bits = np.asarray(unpack(masks, 64))
    assert not bits[:, segments:].any()
    assert np.all(bits.any(axis=1) & ~bits[:, :segments].all(axis=1))
    distinct = len(np.unique(bits, axis=0))
    if segments < 10:
        assert distinct == 2**segments - 2
    else:
        assert distinct > (990 if segments > 10 else 700)


@pytest.mark.parametrize("method", [RandomSearch(evaluations=500), DesignedMasks(evaluations=500)])
def test_of_a_few_segments_each_mask_is_evaluated_once(toy_classifier, toy_images, method):
    method = dataclasses.replace(method, segmentation=Grid(2, 3), max_segments=32, fill="black")
    result = explain(KEY, toy_classifier, toy_images[:2], method=method)
    kept = getattr(method, "prefixes", 0)
    np.testing.assert_array_equal(result.evaluations, 1 + 2**6 - 2 + kept)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (RandomSearch, {"evaluations": 3}),
        (RandomSearch, {"area_weight": -1}),
        (DesignedMasks, {"prefixes": 0}),
        (DesignedMasks, {"prefixes": 240}),
        (DesignedMasks, {"area_weight": -1}),
    ],
)
def test_bad_options_say_what_is_needed(method, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        method(**options)
