"""What is expected of masks that nobody has evaluated, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.methods.elime.test_nested_masks import SEGMENTS, make_archive
from xaijax.genetic.bit_genome import pack
from xaijax.methods.elime.preselection import expected_quality
from xaijax.methods.surrogate import SegmentPrior, predicted_log_odds

SIZES = np.zeros(40, np.float32)
SIZES[:SEGMENTS] = np.random.default_rng(2).integers(5, 90, SEGMENTS)
LAYOUT = SegmentPrior(sizes=jnp.asarray(SIZES), precision=jnp.eye(40))


def candidates(count, seed=5):
    bits = np.random.default_rng(seed).random((count, SEGMENTS)) < 0.4
    return bits, pack(jnp.pad(bits, ((0, 0), (0, 64 - SEGMENTS))))


def expected_by_numpy(archive, bits, game):
    known = int(archive.count)
    log_odds, area = (np.asarray(leaf, float)[:known] for leaf in (archive.values.log_odds, archive.values.area))
    masks = ((np.asarray(archive.genomes)[:known, :1] >> np.arange(SEGMENTS)) & 1).astype(float)
    finite = np.isfinite(log_odds)
    log_odds, area, masks = log_odds[finite], area[finite], masks[finite]
    sign = 1 if game == "preservation" else -1
    worth = sign * log_odds
    own_area = area if game == "preservation" else 1 - area

    def front(bound):
        return max((w for w, a in zip(worth, own_area, strict=True) if a <= bound + 1e-6), default=worth.min())

    weight = np.exp(-(np.array([front(a) for a in own_area]) - worth) / 2)
    x = np.concatenate([np.ones((len(masks), 1)), masks], axis=1)
    solved = np.linalg.solve(x.T @ (weight[:, None] * x) + np.diag([0.0] + [1.0] * SEGMENTS), x.T @ (weight * log_odds))
    predicted = sign * (solved[0] + bits @ solved[1:])
    kept = bits @ SIZES[:SEGMENTS] / SIZES.sum()
    return predicted - np.array([front(a if game == "preservation" else 1 - a) for a in kept])


@pytest.mark.parametrize("game", ["preservation", "deletion"])
def test_the_quality_expected_of_masks_is_what_they_would_add_to_the_front(game):
    archive, _ = make_archive(3)
    bits, genomes = candidates(20)
    found = expected_quality(archive, genomes, jnp.bool_(True), LAYOUT, game=game)
    np.testing.assert_allclose(found, expected_by_numpy(archive, bits, game), rtol=1e-3, atol=1e-3)


def test_a_batch_expects_of_each_image_what_is_expected_alone_and_nothing_where_nobody_asks():
    made = [make_archive(seed)[0] for seed in range(3)]
    genomes = jnp.stack([candidates(6, seed)[1] for seed in range(3)])
    needed = jnp.array([True, False, True])
    together = jax.jit(jax.vmap(expected_quality, in_axes=(0, 0, 0, None)))(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *made), genomes, needed, LAYOUT
    )
    alone = jax.jit(expected_quality)
    for image in range(3):
        found = alone(made[image], genomes[image], needed[image], LAYOUT)
        np.testing.assert_array_equal(together[image], found)
    assert not np.any(together[1])


def test_a_linear_answer_is_predicted():
    archive, worth = make_archive(4)
    known = np.isfinite(np.asarray(archive.values.log_odds)) & (np.arange(60) < int(archive.count))
    bits, genomes = candidates(30)
    predicted = predicted_log_odds(archive.genomes, archive.values, jnp.asarray(known, jnp.float32), genomes)
    assert np.corrcoef(predicted, bits @ worth)[0, 1] > 0.98
