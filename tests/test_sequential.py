"""Going through a batch row by row: against all rows at once, and a row alone against the same row among others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.sequential import choose_rows, cut_groups, map_groups, map_rows, pad_rows

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
