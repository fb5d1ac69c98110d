"""Square genomes: what is drawn, what crossover and mutation take, against NumPy and expected frequencies."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaijax.genetic.square_genome import (
    CROSSOVERS,
    RADIUS,
    SIDE,
    SQUARES,
    SquareSpace,
    draw,
    is_whole,
    pack_squares,
    redraw,
    unpack_squares,
)

COUNT, WORDS = 4000, 6  # room for 5 squares
SPACE = SquareSpace(
    stage=jnp.int32(1),
    count=jnp.int32(3),
    radii=jnp.array([2, 5, 9, 7]),
    kinds=jnp.int32(3),
    boxes=jnp.array([[0, 0, 9, 4], [20, 30, 20, 31], [0, 0, 99, 99]]),
    regions=jnp.int32(2),
)
drawn = functools.partial(jax.jit(draw, static_argnames=("count", "words")), count=COUNT, words=WORDS)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(0, RADIUS - 1)),
        min_size=1,
        max_size=5,
    )
)
def test_packing_is_undone_by_unpacking(squares):
    parts = np.array(squares, np.int32).T
    np.testing.assert_array_equal(np.stack(unpack_squares(pack_squares(*parts))), parts)


def test_squares_are_drawn_evenly_from_radii_and_boxes():
    genomes = drawn(jax.random.key(0), SPACE)
    np.testing.assert_array_equal(genomes[:, 0], 1)  # the stage
    np.testing.assert_array_equal(genomes[:, 4:], 0)  # squares that are not in use
    rows, columns, radii = (np.asarray(part).ravel() for part in unpack_squares(genomes[:, 1:4]))
    for radius in (2, 5, 9):
        assert abs(np.mean(radii == radius) - 1 / 3) < 4.5 * np.sqrt(2 / 9 / len(radii))
    assert {*radii} == {2, 5, 9}
    in_first = (rows <= 9) & (columns <= 4)
    in_second = (rows == 20) & (columns >= 30) & (columns <= 31)
    assert np.all(in_first ^ in_second)
    assert abs(np.mean(in_first) - 0.5) < 4.5 * np.sqrt(0.25 / len(rows))
    cells = np.bincount(rows[in_first] * 5 + columns[in_first], minlength=50) / in_first.sum()
    assert np.all(np.abs(cells - 0.02) < 4.5 * np.sqrt(0.02 * 0.98 / in_first.sum()))


def test_the_whole_genome_is_no_drawn_one():
    assert bool(is_whole(SQUARES.whole(SPACE, WORDS)))
    assert not np.any(is_whole(drawn(jax.random.key(1), SPACE)))


@pytest.mark.parametrize("squares", [1, 3])
def test_redrawing_changes_that_many_squares_at_most_each_as_often(squares):
    genomes = drawn(jax.random.key(2), SPACE)
    mutated = np.asarray(jax.jit(functools.partial(redraw, squares=squares))(jax.random.key(3), genomes, SPACE))
    changed = mutated != np.asarray(genomes)
    assert not changed[:, [0, 4, 5]].any()
    assert changed.sum(axis=1).max() == squares
    # A square stays where it is not chosen, or is drawn as it was (3 radii; 50 or 2 places in a box of two).
    same = (0.5**2 * (1 / 50 + 1 / 2)) / 3
    expected = (1 - (2 / 3) ** squares) * (1 - same)
    assert np.all(np.abs(changed[:, 1:4].mean(axis=0) - expected) < 4.5 * np.sqrt(0.25 / COUNT))


def taken_from_the_mother(name):
    mothers, fathers = jnp.ones((COUNT, WORDS), jnp.uint32), jnp.zeros((COUNT, WORDS), jnp.uint32)
    return np.asarray(jax.jit(CROSSOVERS[name])(jax.random.key(4), mothers, fathers, SPACE))[:, 1:4]


def test_uniform_crossover_takes_either_parents_square():
    taken = taken_from_the_mother("uniform")
    assert np.all(np.abs(taken.mean(axis=0) - 0.5) < 4.5 * np.sqrt(0.25 / COUNT))
    assert abs(np.mean(taken[:, 0] == taken[:, 1]) - 0.5) < 4.5 * np.sqrt(0.25 / COUNT)


def test_one_point_crossover_takes_a_prefix_of_the_mother():
    patterns, counts = np.unique(taken_from_the_mother("one-point"), axis=0, return_counts=True)
    np.testing.assert_array_equal(patterns, [[1, 0, 0], [1, 1, 0]])
    assert np.all(np.abs(counts / COUNT - 0.5) < 4.5 * np.sqrt(0.25 / COUNT))


def test_two_point_crossover_takes_a_run_of_the_father():
    patterns, counts = np.unique(taken_from_the_mother("two-point"), axis=0, return_counts=True)
    # Cuts are drawn from 0 to 3: four of sixteen pairs are equal, two give each run between them.
    expected = {(1, 1, 1): 4, (0, 1, 1): 2, (1, 0, 1): 2, (1, 1, 0): 2, (0, 0, 1): 2, (1, 0, 0): 2, (0, 0, 0): 2}
    assert {*map(tuple, patterns)} == {*expected}
    for pattern, count in zip(map(tuple, patterns), counts, strict=True):
        share = expected[pattern] / 16
        assert abs(count / COUNT - share) < 4.5 * np.sqrt(share * (1 - share) / COUNT)
