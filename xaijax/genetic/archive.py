"""The archive of one image: every evaluated genome, with the values that its evaluation returned."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.pairwise import SHORT, running_count

HASHED = 4
"""Words of the longest genome that is looked up by its own words."""


@chex.dataclass(frozen=True)
class Archive:
    """The evaluated genomes of one image, and their values."""

    genomes: jax.Array  # [E, W] uint32, in order of evaluation; 0 past the count
    values: Any  # pytree of [E, ...], what each evaluation returned
    count: jax.Array  # [] int32, evaluations so far


def empty(capacity: int, words: int, values: Any) -> Archive:
    """Returns an empty archive.

    Args:
        capacity: evaluations that it has room for.
        words: words per genome.
        values: pytree of `jax.ShapeDtypeStruct`, what an evaluation returns.
    """
    return Archive(
        genomes=jnp.zeros((capacity, words), jnp.uint32),
        values=jax.tree.map(lambda value: jnp.zeros((capacity, *value.shape), value.dtype), values),
        count=jnp.int32(0),
    )


def is_known(archive: Archive) -> jax.Array:
    """Returns which rows of one image's archive hold a genome, `[E]` bool."""
    return jnp.asarray(np.arange(len(archive.genomes), dtype=np.int32) < archive.count)


@jax.named_scope("archive")
def find(archive: Archive, genomes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Looks genomes up in the archive.

    Args:
        archive: of one image.
        genomes: `[P, W]`.

    Returns:
        Whether each is in the archive, `[P]` bool, and its index there, `[P]` int32 (0 where it is not).
    """
    chex.assert_rank(genomes, 2)
    chex.assert_equal_shape_suffix([genomes, archive.genomes], 1)
    same = _are_equal(_comparison_words(genomes), _comparison_words(archive.genomes)) & is_known(archive)[None]
    index = jnp.argmax(same, axis=1).astype(jnp.int32)
    if not _is_hashed(genomes):
        return jnp.any(same, axis=1), index
    # Compare in full: the index is 0 where nothing matched, and two genomes may share a hash.
    matches = jnp.all(genomes == archive.genomes[index], axis=1)
    return matches & (index < archive.count), jnp.where(matches, index, 0)


def is_repeat(archive: Archive, genomes: jax.Array) -> jax.Array:
    """Returns which of the genomes `[P, W]` are in the archive or equal an earlier one of them, `[P]` bool."""
    return find(archive, genomes)[0] | is_duplicate(genomes)


def is_duplicate(genomes: jax.Array) -> jax.Array:
    """Returns which of the genomes `[P, W]` equal an earlier one of them, `[P]` bool."""
    index: Any = np.arange(len(genomes))
    if len(genomes) > SHORT:  # as a constant, its square would swell the program
        index = jnp.asarray(index)
    return jnp.any(_are_equal(genomes, genomes) & (index[None] < index[:, None]), axis=1)


@jax.named_scope("archive")
def insert(archive: Archive, genomes: jax.Array, values: Any, new: jax.Array) -> Archive:
    """Adds genomes to the archive.

    Args:
        archive: of one image.
        genomes: `[P, W]`.
        values: pytree of `[P, ...]`.
        new: `[P]` bool, which of them to add; the caller ensures that there is room.
    """
    chex.assert_tree_shape_prefix((genomes, values), new.shape)
    capacity = archive.genomes.shape[0]
    index = jnp.where(new, archive.count + running_count(new) - 1, capacity)
    return Archive(
        genomes=archive.genomes.at[index].set(genomes, mode="drop"),
        values=jax.tree.map(lambda old, value: old.at[index].set(value, mode="drop"), archive.values, values),
        count=archive.count + jnp.sum(new, dtype=jnp.int32),
    )


def _are_equal(first: jax.Array, second: jax.Array) -> jax.Array:
    """Returns which of the words `[N, V]` equal which of `[M, V]`, `[N, M]` bool.

    Few words are compared one by one, so that XLA fuses this with what reduces it and never holds all pairs.
    """
    if _is_hashed(first):
        return jnp.all(first[:, None] == second[None], axis=2)
    same = first[:, None, 0] == second[None, :, 0]
    for word in range(1, first.shape[1]):
        same &= first[:, None, word] == second[None, :, word]
    return same


def _is_hashed(genomes: jax.Array) -> bool:
    """Returns whether genomes `[N, W]` are so long that they are looked up by a hash."""
    return genomes.shape[1] > HASHED


def _comparison_words(genomes: jax.Array) -> jax.Array:
    """Returns the words `[N, V]` by which genomes `[N, W]` are compared: their own, or a two-word hash of long genomes.

    Of two long genomes with the same hash a lookup finds only the one inserted first, and the other is evaluated again.
    With a million genomes this happens in one search of 10^7.
    """
    if not _is_hashed(genomes):
        return genomes
    words = genomes.shape[1]
    # Universal hashing: fixed random odd multipliers, and the high bits mixed into the low ones.
    factors = jnp.asarray(np.random.default_rng(0).integers(0, 2**32, (2, words), np.uint32) | np.uint32(1))
    mixed = genomes ^ jnp.right_shift(genomes, jnp.full_like(genomes, 15))
    summed = jnp.sum(mixed[:, None] * factors[None], axis=2, dtype=jnp.uint32)
    return summed ^ jnp.right_shift(summed, jnp.full_like(summed, 16))
