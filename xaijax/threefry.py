"""Random numbers equal to those of `jax.random` to the bit, from code that compiles to a single kernel on CPU too.

On CPU `jax.random` runs the rounds of its cipher in a loop of some ten kernels, each of which costs memory maps and
compile time, and a search has some twenty draws. Unrolled, the rounds are one kernel.
"""

import jax
import jax.numpy as jnp

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def as_threefry(key: jax.Array) -> jax.Array:
    """Returns a key as one of Threefry's, derived from its words if it is another generator's.

    Draws of some generators, as "rbg", depend on their place in a batch.
    """
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if is_typed and jax.random.key_impl(key) == "threefry2x32":
        return key
    words = jax.random.key_data(key) if is_typed else key
    own = _wrap(words[:2])
    for word in words[2:]:
        own = fold_in(own, word)
    return own


def split(key: jax.Array, count: int = 2) -> jax.Array:
    """Returns the keys `[count]` of `jax.random.split`."""
    if not _is_threefry(key):
        return jax.random.split(key, count)
    return _wrap(jnp.stack(_hash_counts(key, count), axis=1))


def fold_in(key: jax.Array, data: jax.Array | int) -> jax.Array:
    """Returns the key of `jax.random.fold_in`; `data` is below 2^32."""
    if not _is_threefry(key):
        return jax.random.fold_in(key, data)
    number = jnp.asarray(data).astype(jnp.uint32)
    return _wrap(jnp.stack(_threefry(jax.random.key_data(key), jnp.zeros_like(number), number)))


def bits(key: jax.Array, count: int) -> jax.Array:
    """Returns the `[count]` uint32 of `jax.random.bits`."""
    if not _is_threefry(key):
        return jax.random.bits(key, (count,), jnp.uint32)
    first, second = _hash_counts(key, count)
    return first ^ second


def uniform(key: jax.Array, count: int) -> jax.Array:
    """Returns the `[count]` float32 in [0, 1) of `jax.random.uniform`."""
    if not _is_threefry(key):
        return jax.random.uniform(key, (count,), jnp.float32)
    # The highest 23 bits become the mantissa of a number in [1, 2).
    mantissa = jnp.right_shift(bits(key, count), jnp.full((count,), 9, jnp.uint32)) | jnp.uint32(0x3F800000)
    return jax.lax.bitcast_convert_type(mantissa, jnp.float32) - 1


def _is_threefry(key: jax.Array) -> bool:
    """Whether `jax.random` would use for this key the algorithm implemented here."""
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    partitionable = getattr(jax.config, "jax_threefry_partitionable", True)
    return bool(is_typed and partitionable and jax.random.key_impl(key) == "threefry2x32")


def _wrap(words: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def _hash_counts(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    low = jnp.arange(count, dtype=jnp.uint32)
    return _threefry(jax.random.key_data(key), jnp.zeros_like(low), low)


@jax.jit
def _threefry(words: jax.Array, first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Encrypts pairs of words with the two words `[2]` of a key by Threefry-2x32 with 20 rounds.

    References:
        Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011).
    """
    schedule = (words[0], words[1], words[0] ^ words[1] ^ jnp.uint32(PARITY))
    first, second = first + schedule[0], second + schedule[1]
    for group in range(5):
        for distance in ROTATIONS[group % 2]:
            first = jax.lax.add(first, second)
            second = jax.lax.bitwise_xor(first, _rotate(second, distance))
        first = first + schedule[(group + 1) % 3]
        second = second + (schedule[(group + 2) % 3] + jnp.uint32(group + 1))
    return first, second


def _rotate(words: jax.Array, distance: int) -> jax.Array:
    left, right = (jax.lax.full_like(words, amount) for amount in (distance, 32 - distance))
    return jax.lax.bitwise_or(jax.lax.shift_left(words, left), jax.lax.shift_right_logical(words, right))
