"""Where a search starts: the user's masks and heat maps as genomes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import ELIME, Grid, explain
from xaijax.genetic.bit_genome import unpack
from xaijax.methods.elime.warm_start import start_genomes

pytestmark = pytest.mark.quick_compile

SEGMENTS = np.asarray(Grid(3, 4)(np.zeros((12, 16, 3))))


def test_masks_keep_the_segments_of_which_they_cover_half():
    masks = np.stack([SEGMENTS == 3, SEGMENTS < 5, np.zeros_like(SEGMENTS, bool)])
    masks[2, :2, :4] = True  # half of the first segment, of 4x4 pixels
    genomes = start_genomes(jnp.asarray(masks), jnp.asarray(SEGMENTS), count=8, max_segments=40)
    bits = np.asarray(unpack(genomes, 40))
    assert [list(np.flatnonzero(row)) for row in bits] == [[3], [0, 1, 2, 3, 4], [0]]
    assert len(start_genomes(jnp.asarray(masks), jnp.asarray(SEGMENTS), count=2, max_segments=40)) == 2


def test_a_heat_map_gives_nested_masks_of_its_hottest_segments():
    heat = np.random.default_rng(0).normal(size=12)
    genomes = start_genomes(jnp.asarray(heat[SEGMENTS], jnp.float32), jnp.asarray(SEGMENTS), count=6, max_segments=40)
    bits = np.asarray(unpack(genomes, 40))
    sizes = bits.sum(axis=1)
    assert sizes[0] == 1
    assert sizes[-1] == 11
    assert np.all(np.diff(sizes) > 0)
    for row in bits:
        assert set(np.flatnonzero(row)) == set(np.argsort(-heat)[: row.sum()])


@pytest.mark.parametrize(("count", "kept"), [(1, [1]), (2, [1, 11]), (3, [1, 6, 11]), (11, range(1, 12))])
def test_a_heat_map_gives_as_many_masks_as_are_asked_for_from_one_segment_to_all_but_one(count, kept):
    heat = jnp.asarray(SEGMENTS, jnp.float32)
    genomes = start_genomes(heat, jnp.asarray(SEGMENTS), count=count, max_segments=40)
    # The last segments are the hottest.
    expected = [(1 << 12) - (1 << (12 - number)) for number in kept]
    np.testing.assert_array_equal(genomes, np.stack([expected, np.zeros(count)], axis=1))


def test_a_heat_map_of_two_segments_gives_the_hotter_one():
    segments = np.repeat(np.int32([0, 1]), 8).reshape(4, 4)
    genomes = start_genomes(jnp.asarray(segments == 0, jnp.float32), jnp.asarray(segments), count=3, max_segments=32)
    np.testing.assert_array_equal(genomes, [[1], [1], [1]])


@pytest.mark.slow
def test_a_search_that_starts_at_the_answer_is_told_it_at_once(toy_classifier, toy_images):
    method = ELIME(evaluations=60, segmentation=Grid(4, 4), max_segments=32, objective="probability", area_weight=0.2)
    key = jax.random.key(1)
    best = explain(key, toy_classifier, toy_images, method=ELIME(**{**vars(method), "evaluations": 600}))
    cold = explain(key, toy_classifier, toy_images, method=method)
    warm = explain(key, toy_classifier, toy_images, start=np.asarray(best.mask)[:, None], method=method)
    reached = np.asarray(best.probability - 0.2 * best.area)
    first = np.asarray(warm.history)[:, 0]
    assert np.all(first >= reached - 1e-5)
    assert np.mean(first - np.asarray(cold.history)[:, 0]) > 0
    deletion = dataclasses.replace(method, game="deletion")
    gone = explain(key, toy_classifier, toy_images, method=dataclasses.replace(deletion, evaluations=600))
    again = explain(key, toy_classifier, toy_images, start=np.asarray(gone.mask)[:, None], method=deletion)
    lost = 1 - np.asarray(gone.probability) - 0.2 * np.asarray(gone.area)
    assert np.all(np.asarray(again.history)[:, 0] >= lost - 1e-5)
    heated = explain(key, toy_classifier, toy_images, start=np.asarray(best.score), method=method)
    assert np.mean(np.asarray(heated.history)[:, 0] - np.asarray(cold.history)[:, 0]) > 0


def test_a_start_without_effect_is_refused(toy_classifier, toy_images):
    method = ELIME(evaluations=60, segmentation=Grid(1, 5))
    with pytest.raises(ValueError, match=r"^start has no effect, as all masks of 5 segments are"):
        explain(jax.random.key(0), toy_classifier, toy_images, start=np.zeros((8, 16, 16)), method=method)
