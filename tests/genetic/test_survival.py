"""Survival against sorting in NumPy."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaijax.genetic.pareto import crowded_preference
from xaijax.genetic.survival import generational

NO_PARENTS = np.zeros(6, bool)  # without effect here
survive = jax.jit(functools.partial(generational, parents=NO_PARENTS), static_argnames="elites")
PARENTS, CHILDREN = np.arange(6), np.arange(10, 16)
few_values = st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.0]), min_size=6, max_size=6)


@settings(deadline=None, max_examples=60)
@given(fitness=few_values, child_fitness=few_values, elites=st.sampled_from([0, 2, 6]))
def test_survivors_agree_with_sorting(fitness, child_fitness, elites):
    fitness, child_fitness = np.array(fitness, np.float32), np.array(child_fitness, np.float32)
    best = np.argsort(-fitness, kind="stable")[:elites]
    pool = np.concatenate([PARENTS[best], CHILDREN])
    pool_fitness = np.concatenate([fitness[best], child_fitness])
    order = np.argsort(-pool_fitness, kind="stable")[:6]
    population, survivors = survive(PARENTS, fitness, CHILDREN, child_fitness, elites=elites)
    np.testing.assert_array_equal(population, pool[order])
    np.testing.assert_array_equal(survivors, pool_fitness[order])


@pytest.mark.parametrize("elites", [0, 2, 6])
def test_of_equals_as_many_parents_stay_as_may(elites):
    same = np.ones(6, np.float32)
    population, _ = survive(PARENTS, same, CHILDREN, same, elites=elites)
    np.testing.assert_array_equal(population, [*range(elites), *range(10, 16 - elites)])


def test_genomes_move_as_wholes():
    genomes = np.random.default_rng(0).integers(0, 2**32, (2, 6, 3), np.uint32)
    fitness = np.array([[5, 1, 3, 0, 2, 4], [9, -1, -1, -1, -1, 2.5]], np.float32)
    population, _ = survive(genomes[0], fitness[0], genomes[1], fitness[1], elites=2)
    expected = [genomes[1, 0], genomes[0, 0], genomes[0, 5], genomes[1, 5], genomes[1, 1], genomes[1, 2]]
    np.testing.assert_array_equal(population, expected)


def test_twins_come_last():
    parents, children = np.array([7, 7, 3, 4]), np.array([7, 5, 5, 6])
    population, fitness = survive(parents, np.float32([9, 9, 1, 0]), children, np.float32([9, 5, 5, 4]), elites=4)
    np.testing.assert_array_equal(population, [7, 5, 6, 3])
    np.testing.assert_array_equal(fitness, [9, 5, 4, 1])


def test_children_that_equal_parents_of_unknown_fitness_are_no_twins():
    genomes, fitness = np.arange(4), np.float32([3, 1, 2, 4])
    unknown = np.full(4, -np.inf, np.float32)
    population, survivors = survive(genomes, unknown, genomes, fitness, elites=4)
    np.testing.assert_array_equal(population, [3, 0, 2, 1])
    np.testing.assert_array_equal(survivors, [4, 3, 2, 1])


def test_a_member_of_the_front_that_was_bred_again_does_not_crowd_itself_out():
    # A front of five, and four that it dominates; the third member is bred again.
    front = np.float32([[0, 8], [1, 7], [4, 4], [7, 1], [8, 0]])
    dominated = np.float32([[0, 0], [1, 0], [0, 1], [1, 1]])
    parents, children = np.arange(5), np.array([2, 10, 11, 12, 13])
    population, fitness = generational(
        parents,
        front,
        children,
        np.concatenate([front[2:3], dominated]),
        np.zeros(5, bool),
        elites=5,
        preference=crowded_preference,
    )
    assert set(np.asarray(population).tolist()) == {0, 1, 2, 3, 4}
    assert np.isfinite(fitness).all()
    # Where only three may stay, it is the ends and the least crowded between them: the third member.
    few, _ = generational(
        np.array([0, 2, 4]),
        front[[0, 2, 4]],
        np.array([2, 3, 1]),
        front[[2, 3, 1]],
        np.zeros(3, bool),
        elites=3,
        preference=crowded_preference,
    )
    assert set(np.asarray(few).tolist()) == {0, 2, 4}
