"""Going through a batch row by row: against all rows at once, and a row alone against the same row among others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.jaxprs import equations
from xaijax.sequential import (
    anywhere,
    choose_rows,
    cut_groups,
    default_platform,
    is_parallel,
    map_groups,
    map_rows,
    pad_rows,
    row_taker,
    rows_in_parallel,
)

ROWS = {"pixels": np.random.default_rng(0).integers(0, 256, (7, 48), np.uint8), "index": np.arange(7, dtype=np.int32)}
ROWS["nothing"] = np.zeros((7, 0), np.uint32)


def of_row(row):
    pixels = row["pixels"].astype(jnp.float32) / 255
    return {"mean": jnp.mean(pixels), "index": row["index"] * 2, "nothing": pixels[:0]}


@pytest.mark.parametrize("count", [1, 2, 7])
def test_rows_are_mapped_one_at_a_time_or_in_groups_alike(count):
    rows = jax.tree.map(lambda leaf: leaf[:count], ROWS)
    wanted = jax.vmap(of_row)(rows)
    for found in (map_rows(of_row, rows), *(map_groups(of_row, rows, size) for size in (1, 3, 8))):
        np.testing.assert_array_equal(found["index"], wanted["index"])
        assert found["nothing"].shape == (count, 0)
        np.testing.assert_allclose(found["mean"], wanted["mean"], rtol=1e-6)


@pytest.mark.parametrize("size", [None, 3])
def test_rows_in_parallel_are_those_of_a_loop_and_what_is_not_needed_is_zeros(size):
    needed = np.arange(7) < 3

    def mapped(parallel):
        with rows_in_parallel(parallel):
            found = map_rows(of_row, ROWS, needed) if size is None else map_groups(of_row, ROWS, size, needed)
        return jax.tree.map(lambda leaf: leaf[needed] if size else leaf, found)

    for one_by_one, at_once in zip(jax.tree.leaves(mapped(False)), jax.tree.leaves(mapped(True)), strict=True):
        np.testing.assert_allclose(one_by_one, at_once, rtol=1e-6)


@pytest.mark.parametrize(("count", "groups"), [(127, []), (128, [2]), (200, [3])])
def test_many_rows_in_parallel_are_taken_in_groups(count, groups):
    rows, needed = {"index": np.arange(count, dtype=np.int32)}, np.arange(count) % 3 == 0

    def mapped(rows):
        return map_rows(lambda row: row["index"] + 1, rows, needed)

    with rows_in_parallel(True):
        np.testing.assert_array_equal(mapped(rows), np.where(needed, rows["index"] + 1, 0))
        traced = jax.make_jaxpr(mapped)(rows)
    loops = [equation.params["length"] for equation in equations(traced.jaxpr) if equation.primitive.name == "scan"]
    assert loops == groups


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 4, 3, 2), (5, 3, 128)])
def test_rows_are_taken_by_index(shape, parallel):
    rows, index = np.random.default_rng(0).random(shape, np.float32), np.array([4, 0, 4], np.int32)
    with rows_in_parallel(parallel):
        taken = row_taker({"rows": jnp.asarray(rows)})(index)
    np.testing.assert_array_equal(taken["rows"], rows[index])


def test_the_default_device_decides_where_nothing_is_said():
    assert default_platform() == jax.default_backend()
    assert is_parallel() == (jax.default_backend() != "cpu")
    with jax.default_device("cpu"):
        assert default_platform() == "cpu"
    with rows_in_parallel(True):
        assert is_parallel()
        with rows_in_parallel(False):
            assert not is_parallel()


def test_a_loop_that_any_row_keeps_going_takes_the_same_turns_for_all():
    def count_up(limit):
        return jax.lax.while_loop(lambda turn: anywhere(turn < limit), lambda turn: turn + 1, jnp.int32(0))

    limits = jnp.array([3, 9, 1], jnp.int32)
    assert int(count_up(limits[0])) == 3
    np.testing.assert_array_equal(jax.vmap(count_up)(limits), 9)


@pytest.mark.parametrize("size", [None, 1, 3])
def test_rows_that_are_not_needed_are_zeros_and_are_not_looked_at(size):
    seen = []

    def told(row):
        jax.debug.callback(seen.append, row["index"])
        return of_row(row)

    needed = np.arange(7) < 3
    found = map_rows(told, ROWS, needed) if size is None else map_groups(told, ROWS, size, needed)
    np.testing.assert_array_equal(found["index"], [0, 2, 4, 0, 0, 0, 0])
    jax.effects_barrier()
    assert sorted(int(index) for index in seen) == [0, 1, 2]


@pytest.mark.parametrize("mapped", [map_rows, lambda function, rows: map_groups(function, rows, 1)])
def test_a_row_alone_gets_the_bits_that_it_gets_among_others(mapped):
    run = jax.jit(lambda rows: mapped(of_row, rows)["mean"])
    alone = [run(jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], ROWS)) for row in range(7)]
    np.testing.assert_array_equal(np.concatenate(alone), run(ROWS))


def test_the_last_group_is_padded_with_zeros_and_keys_with_keys():
    groups = cut_groups(ROWS, 3)
    np.testing.assert_array_equal(groups["index"], [[0, 1, 2], [3, 4, 5], [6, 0, 0]])
    keys = jax.random.split(jax.random.key(0), 2)
    padded = pad_rows(keys, 1)
    np.testing.assert_array_equal(jax.random.key_data(padded), jax.random.key_data(keys)[jnp.array([0, 1, 1])])


def test_rows_are_chosen_one_by_one_from_two_pytrees():
    which = np.array([True, False, True, False, False, True, False])
    others = {name: np.zeros_like(rows) for name, rows in ROWS.items()}
    chosen = choose_rows(which, ROWS, others)
    np.testing.assert_array_equal(chosen["index"], [0, 0, 2, 0, 0, 5, 0])
    np.testing.assert_array_equal(chosen["pixels"], ROWS["pixels"] * which[:, None])
