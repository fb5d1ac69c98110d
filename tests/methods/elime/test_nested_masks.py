"""Nested masks of the score so far, against NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.fitness import RESPONSE, Response
from xaijax.genetic import archive as archives
from xaijax.genetic.bit_genome import pack, unpack
from xaijax.methods.elime.nested_masks import nested_masks
from xaijax.methods.surrogate import SegmentPrior, contributions

SEGMENTS, EVALUATED = 12, 40


def make_archive(seed):
    """An archive whose log-odds are a sum over segments, one of them not finite, and its segments' worth."""
    random = np.random.default_rng(seed)
    worth = random.normal(0, 2, SEGMENTS)
    bits = random.random((EVALUATED, SEGMENTS)) < 0.5
    log_odds = bits @ worth
    log_odds[3] = np.nan
    values = Response(
        log_odds=jnp.asarray(log_odds, jnp.float32),
        area=jnp.asarray(random.uniform(0.3, 0.9, EVALUATED), jnp.float32),
        predicted=jnp.zeros(EVALUATED, jnp.int32),
    )
    empty = archives.empty(60, 2, RESPONSE)
    return archives.insert(empty, pack(jnp.pad(bits, ((0, 0), (0, 52)))), values, jnp.ones(EVALUATED, bool)), worth


def propose(key, archive, sizes, *, count, needed=True, **options):
    layout = SegmentPrior(sizes=jnp.asarray(sizes), precision=jnp.eye(len(sizes)))
    return nested_masks(key, archive, jnp.int32(SEGMENTS), jnp.bool_(needed), layout, count=count, **options)


@pytest.mark.slow
def test_masks_keep_the_most_worth_up_to_an_area_of_each_part():
    archive, worth = make_archive(0)
    sizes = np.zeros(40, np.float32)
    sizes[:SEGMENTS] = np.random.default_rng(1).integers(5, 90, SEGMENTS)
    genomes = propose(jax.random.key(0), archive, sizes, count=6)
    bits = np.asarray(unpack(genomes, 64))
    known = jnp.isfinite(archive.values.log_odds) & (jnp.arange(60) < archive.count)
    layout = SegmentPrior(sizes=jnp.asarray(sizes), precision=jnp.eye(40))
    density = np.asarray(contributions(archive.genomes, archive.values, known, layout).density)[:SEGMENTS]
    assert np.corrcoef(density, worth / np.sqrt(sizes[:SEGMENTS]))[0, 1] > 0.95
    order = np.argsort(-density)
    kept = bits.sum(axis=1)
    assert np.all((kept >= 1) & (kept <= SEGMENTS - 1))
    areas = np.cumsum(sizes[order]) / sizes.sum()
    log_odds, known = np.asarray(archive.values.log_odds), np.asarray(archive.values.area)
    probability = 1 / (1 + np.exp(-log_odds[:EVALUATED].astype(float)))
    nearly_best = known[:EVALUATED][probability >= 0.9 * np.nanmax(probability)].min()
    assert 0 < nearly_best < 1
    for part, row in enumerate(bits):
        assert set(np.flatnonzero(row)) == set(order[: kept[part]])
        # The area wanted is within the part; the mask is the first that reaches it.
        scale = nearly_best if part % 2 == 0 else 1
        assert areas[kept[part] - 1] >= scale * part / 6 or kept[part] == SEGMENTS - 1
        assert kept[part] == 1 or areas[kept[part] - 2] < scale * (part + 1) / 6


@pytest.mark.slow
def test_a_batch_gives_each_image_what_it_gets_alone():
    made = [make_archive(seed)[0] for seed in range(3)]
    sizes = jnp.where(jnp.arange(40) < SEGMENTS, 10.0, 0.0)
    keys = jax.random.split(jax.random.key(1), 3)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)
    together = jax.jit(jax.vmap(lambda key, archive: propose(key, archive, sizes, count=4)))(keys, stacked)
    for image in range(3):
        np.testing.assert_array_equal(together[image], propose(keys[image], made[image], sizes, count=4))


def test_what_is_to_be_removed_is_the_complement_and_what_is_not_needed_is_empty():
    archive, _ = make_archive(0)
    halves = dataclasses.replace(archive.values, area=jnp.full_like(archive.values.area, 0.5))
    archive = dataclasses.replace(archive, values=halves)  # so that both games find masks of the same area
    sizes = jnp.where(jnp.arange(40) < SEGMENTS, 10.0, 0.0)
    kept, removed = (propose(jax.random.key(0), archive, sizes, count=4, removed=flag) for flag in (False, True))
    np.testing.assert_array_equal(kept ^ removed, np.broadcast_to([2**SEGMENTS - 1, 0], (4, 2)))
    assert not np.any(propose(jax.random.key(0), archive, sizes, count=4, needed=False))
