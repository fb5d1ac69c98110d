"""Painting squares against loops over pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaijax.masks.square_masks import EDGES, cover, paint

HEIGHT, WIDTH = 9, 13
square = st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(0, 20))


def loops(squares, weights, edge):
    """Adds the weight of each square pixel by pixel."""
    total = np.zeros((HEIGHT, WIDTH))
    for (row, column, radius), weight in zip(squares, weights, strict=True):
        top = min(row, abs(row - radius)) if edge == "reflected" else row - radius
        left = min(column, abs(column - radius)) if edge == "reflected" else column - radius
        for y in range(HEIGHT):
            for x in range(WIDTH):
                if top <= y <= row + radius and left <= x <= column + radius:
                    total[y, x] += weight
    return total


@pytest.mark.parametrize("edge", EDGES)
@settings(deadline=None, max_examples=40)
@given(squares=st.lists(square, min_size=4, max_size=4), used=st.lists(st.booleans(), min_size=4, max_size=4))
def test_the_union_is_what_loops_paint(squares, used, edge):
    parts = tuple(jnp.asarray(part, jnp.int32) for part in np.array(squares).T)
    painted = jax.jit(paint, static_argnames=("height", "width", "edge"))(
        parts, jnp.asarray(used), height=HEIGHT, width=WIDTH, edge=EDGES[edge]
    )
    np.testing.assert_array_equal(painted, loops(squares, used, edge) > 0)


def test_cover_adds_the_weights_of_overlapping_squares():
    squares, weights = [(2, 3, 1), (3, 3, 2), (8, 12, 4)], [0.5, -1.25, 2.0]
    parts = tuple(jnp.asarray(part, jnp.int32) for part in np.array(squares).T)
    covered = cover(parts, jnp.asarray(weights, jnp.float32), height=HEIGHT, width=WIDTH)
    np.testing.assert_allclose(covered, loops(squares, weights, "clamped"), atol=1e-6)


def test_an_edge_reflects_at_the_top_and_left_border_alone():
    centre, radius = np.array([10, 2, 5]), np.array([3, 5, 5])
    np.testing.assert_array_equal(EDGES["clamped"](centre, radius), [7, -3, 0])
    np.testing.assert_array_equal(EDGES["reflected"](jnp.asarray(centre), jnp.asarray(radius)), [7, 2, 0])
