"""The front of an archive and the picks among its masks, against loops in Python."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaijax.fitness import Response
from xaijax.methods.pareto_front import make_front, pick_fittest, pick_smallest

# Few values, so that ties are common. Probabilities of 0, 1/4, 1/2, 3/4 and 1, as log-odds.
LOG_ODDS = {-200.0: 0.0, -np.log(3.0): 0.25, 0.0: 0.5, np.log(3.0): 0.75, 200.0: 1.0}
MASKS = 12
masks = st.lists(
    st.tuples(st.sampled_from(list(LOG_ODDS)), st.sampled_from([0.125, 0.25, 0.5, 0.75]), st.booleans()),
    min_size=MASKS,
    max_size=MASKS,
)

front_of = jax.jit(make_front, static_argnames="size")
smallest_of = jax.jit(pick_smallest)


def response(log_odds, area):
    return Response(
        log_odds=np.array(log_odds, np.float32),
        area=np.array(area, np.float32),
        predicted=np.zeros(len(area), np.int32),
    )


@settings(deadline=None, max_examples=60)
@given(masks)
def test_the_front_holds_the_first_of_the_masks_that_no_other_beats(masks):
    log_odds, area, allowed = (list(part) for part in zip(*masks, strict=True))
    probability = [LOG_ODDS[one] for one in log_odds]
    best = {}  # of each area the first of the most probable masks
    for index in reversed(range(MASKS)):
        if allowed[index] and probability[index] >= best.get(area[index], (0, 0))[0]:
            best[area[index]] = (probability[index], index)
    expected = [best[a][1] for a in sorted(best) if all(best[b][0] < best[a][0] for b in best if b < a)]
    genomes = np.arange(1, MASKS + 1, dtype=np.uint32)[:, None]
    front = front_of(genomes, response(log_odds, area), np.array(allowed), size=6)
    count = len(expected)
    np.testing.assert_array_equal(front.genome[:count, 0], genomes[expected, 0])
    np.testing.assert_allclose(front.probability[:count], [probability[index] for index in expected], rtol=1e-6)
    np.testing.assert_array_equal(front.area[:count], [area[index] for index in expected])
    assert not np.any(front.genome[count:])
    assert np.all(np.isnan(front.area[count:]))
    assert np.all(np.isnan(front.probability[count:]))


@pytest.mark.parametrize(("size", "expected"), [(10, range(10)), (4, [0, 3, 6, 9]), (2, [0, 9]), (1, [0])])
def test_of_a_larger_front_evenly_spread_masks_are_told(size, expected):
    order = np.random.default_rng(0).permutation(10)
    responses = response(order.astype(float) - 5, (order + 1) / 16)  # all on the front, in any order
    front = make_front(order.astype(np.uint32)[:, None], responses, np.ones(10, bool), size=size)
    np.testing.assert_array_equal(front.genome[:, 0], expected)


@settings(deadline=None, max_examples=60)
@given(masks, st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_the_smallest_mask_that_keeps_enough_is_picked_or_else_the_most_probable(masks, least):
    log_odds, area, allowed = (list(part) for part in zip(*masks, strict=True))
    probability = [LOG_ODDS[one] for one in log_odds]
    candidates = [index for index in range(MASKS) if allowed[index]]
    enough = [index for index in candidates if probability[index] > least - 1e-6]
    index, is_kept = smallest_of(
        response(log_odds, area), np.array(allowed), np.float32(np.log(least / (1 - least)) - 1e-4)
    )
    assert is_kept == bool(enough)
    if enough:
        assert index == min(enough, key=lambda one: (area[one], -probability[one], one))
    elif candidates:
        assert index == max(candidates, key=lambda one: (probability[one], -one))


def test_where_all_probabilities_underflow_log_odds_tell_which_mask_keeps_enough():
    responses = response([-180.0, -150.0, -149.9, -149.8], [0.125, 0.25, 0.5, 0.75])
    assert not np.any(responses.probability)
    index, is_kept = smallest_of(responses, np.ones(4, bool), np.float32(-149.95))
    assert index == 2
    assert is_kept


def test_masks_of_no_probability_are_picked_rather_than_what_is_no_mask():
    responses = response([-200.0, -200.0, -200.0, -200.0], [0.25, 0.5, 0.5, 0.75])
    index, is_kept = smallest_of(responses, np.array([False, False, True, True]), np.float32(0.5))
    assert index == 2
    assert not is_kept


def test_the_fittest_mask_is_neither_the_whole_image_nor_empty_nor_of_all_pixels():
    pick = jax.jit(functools.partial(pick_fittest, area_weight=0.5))
    #          the whole, empty, all pixels, NaN, and masks worth 0.5 - 0.125, 0.75 - 0.25 and 0.25 - 0.0625
    log_odds = [200.0, 200.0, 200.0, np.nan, 0.0, np.log(3.0), -np.log(3.0)]
    area = [0.5, 0.0, 1.0, 0.5, 0.25, 0.5, 0.125]
    assert pick(response(log_odds, area)) == 5
    assert jax.jit(functools.partial(pick_fittest, area_weight=2.0))(response(log_odds, area)) == 4
    assert pick(response([0.0, 0.0, 0.0], [0.5, 0.5, 0.5])) == 1, "of equals the first"
