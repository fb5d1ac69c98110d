import jax
import jax.numpy as jnp
import numpy as np

from xaijax.masks import ranked


def test_ranks_list_pixels_from_the_highest_score_ties_in_raster_order():
    score = jnp.array([[0.5, -1.0, 0.5], [2.0, 0.0, -1.0]])
    ranks = np.asarray(ranked.ranks(score))
    np.testing.assert_array_equal(ranks, [[1, 4, 2], [0, 3, 5]])


def test_a_mask_keeps_the_first_pixels_of_the_order():
    score = jax.random.normal(jax.random.key(0), (5, 7))
    order = ranked.ranks(score)
    for count in (0, 1, 12, 35):
        mask = np.asarray(ranked.decode(order, jnp.array([count])))
        assert mask.sum() == count
        if 0 < count < 35:
            assert np.asarray(score)[mask].min() > np.asarray(score)[~mask].max()
