"""Random numbers against `jax.random`, to the bit."""

import jax
import numpy as np
import pytest

from xaijax import threefry

pytestmark = pytest.mark.quick_compile

KEYS = {
    "threefry": jax.random.key(7),
    "folded": jax.random.fold_in(jax.random.key(2**31 - 1), 2**32 - 1),
    "another generator": jax.random.key(7, impl="rbg"),
    "raw words": jax.random.PRNGKey(7),
}


def words(keys):
    return np.asarray(jax.random.key_data(keys))


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
@pytest.mark.parametrize("name", KEYS)
def test_draws_are_those_of_jax(name, count):
    key = KEYS[name]
    np.testing.assert_array_equal(threefry.bits(key, count), jax.random.bits(key, (count,), "uint32"))
    np.testing.assert_array_equal(threefry.uniform(key, count), jax.random.uniform(key, (count,), "float32"))
    np.testing.assert_array_equal(words(threefry.split(key, count)), words(jax.random.split(key, count)))


@pytest.mark.parametrize("data", [0, 1, 2**31, np.uint32(2**32 - 1), np.int32(5)])
@pytest.mark.parametrize("name", KEYS)
def test_folded_keys_are_those_of_jax(name, data):
    data = np.uint32(data)
    np.testing.assert_array_equal(
        words(threefry.fold_in(KEYS[name], data)), words(jax.random.fold_in(KEYS[name], data))
    )


def test_keys_keep_their_type():
    assert threefry.split(KEYS["threefry"]).dtype == KEYS["threefry"].dtype
    assert threefry.fold_in(KEYS["another generator"], 3).dtype == KEYS["another generator"].dtype


def test_a_draw_of_a_batch_is_a_single_kernel_on_cpu():
    keys = jax.random.split(KEYS["threefry"], 4)
    draw = jax.jit(jax.vmap(lambda key: threefry.uniform(threefry.split(key)[0], 1000)))
    compiled = draw.lower(keys).compile().as_text()
    assert "while" not in compiled
    np.testing.assert_array_equal(
        draw(keys), jax.vmap(lambda key: jax.random.uniform(jax.random.split(key)[0], (1000,)))(keys)
    )
