"""NSGA-II's order against its definitions, in loops."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaijax.genetic.pareto import crowded_preference, crowding_distance, front_hypervolume, front_ranks
from xaijax.sequential import rows_in_parallel


def at_once(objectives):
    with rows_in_parallel(True):
        return front_ranks(objectives)


ranked, ranked_at_once = jax.jit(front_ranks), jax.jit(at_once)
crowded = jax.jit(crowding_distance)
preferred = jax.jit(crowded_preference)
covered = jax.jit(front_hypervolume, static_argnums=1)

# Few values, so that ties are common.
points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=12, max_size=12)


def fronts_by_peeling(objectives):
    left, ranks, rank = set(range(len(objectives))), np.zeros(len(objectives), int), 0
    while left:
        beaten = {
            i
            for i in left
            for j in left
            if np.all(objectives[j] >= objectives[i]) and np.any(objectives[j] > objectives[i])
        }
        for i in left - beaten:
            ranks[i] = rank
        left, rank = beaten, rank + 1
    return ranks


@settings(deadline=None, max_examples=60)
@given(points)
def test_fronts_are_what_peeling_gives(points):
    objectives = np.array(points, np.float32)
    np.testing.assert_array_equal(ranked(objectives), fronts_by_peeling(objectives))
    np.testing.assert_array_equal(ranked_at_once(objectives), fronts_by_peeling(objectives))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_a_chain_of_individuals_has_as_many_fronts(count):
    objectives = np.repeat(np.arange(count, dtype=np.float32)[:, None], 2, axis=1)
    for rank in (jax.jit(front_ranks), jax.jit(at_once)):
        np.testing.assert_array_equal(rank(objectives), np.arange(count)[::-1])


@settings(deadline=None, max_examples=60)
@given(points)
def test_crowding_is_the_distance_between_the_neighbours(points):
    objectives = np.array(points, np.float32)
    ranks = fronts_by_peeling(objectives)
    expected = np.zeros(len(points))
    for rank in set(ranks):
        members = np.flatnonzero(ranks == rank)
        for column in objectives[members].T:
            order = members[np.argsort(column, kind="stable")]
            values = np.sort(column)
            width = max(values[-1] - values[0], 1e-12)
            expected[order[[0, -1]]] = np.inf
            for index in range(1, len(order) - 1):
                expected[order[index]] += (values[index + 1] - values[index - 1]) / width
    np.testing.assert_allclose(crowded(objectives, ranks.astype(np.int32)), expected, rtol=1e-5)


@settings(deadline=None, max_examples=60)
@given(points)
def test_the_preference_goes_by_front_then_by_crowding(points):
    objectives = np.array(points, np.float32)
    ranks = fronts_by_peeling(objectives)
    distance = np.asarray(crowded(objectives, ranks.astype(np.int32)))
    preference = np.asarray(preferred(objectives))
    for i in range(len(points)):
        for j in range(len(points)):
            if ranks[i] < ranks[j] or (ranks[i] == ranks[j] and distance[i] > 1.001 * distance[j]):
                assert preference[i] > preference[j]


def test_who_was_not_evaluated_comes_last():
    objectives = np.array([[-np.inf, -np.inf], [0, 0], [1, 0], [-np.inf, -np.inf]], np.float32).repeat(3, axis=0)
    preference = np.asarray(preferred(objectives))
    assert np.all(preference[[0, 1, 2, 9, 10, 11]] == -np.inf)
    assert np.all(np.isfinite(preference[3:9]))


@settings(deadline=None, max_examples=60)
@given(points)
def test_the_hypervolume_is_the_area_that_is_dominated(points):
    objectives = np.array(points, np.float32)
    cells = {(x, y) for first, second in points for x in range(first) for y in range(second)}
    np.testing.assert_allclose(covered(objectives, (0.0, 0.0)), len(cells))
    np.testing.assert_allclose(covered(objectives - 1, (-1.0, -1.0)), len(cells))
