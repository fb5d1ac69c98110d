"""The archive of one image: every evaluated genome, with the values that its evaluation returned."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.pairwise import running_count


@chex.dataclass(frozen=True)
class Archive:
    """The evaluated genomes of one image, and their values."""

    genomes: jax.Array  # [E, W] uint32, in order of evaluation; 0 past the count
    values: Any  # pytree of [E], what each evaluation returned
    count: jax.Array  # [] int32, evaluations so far


def empty(capacity: int, words: int, values: Any) -> Archive:
    """Returns an empty archive.

    Args:
        capacity: evaluations that it has room for.
        words: words per genome.
        values: pytree of `jax.ShapeDtypeStruct`, the scalars that an evaluation returns.
    """
    return Archive(
        genomes=jnp.zeros((capacity, words), jnp.uint32),
        values=jax.tree.map(lambda value: jnp.zeros((capacity,), value.dtype), values),
        count=jnp.int32(0),
    )


def is_known(archive: Archive) -> jax.Array:
    """Returns which rows of one image's archive hold a genome, `[E]` bool."""
    return jnp.arange(len(archive.genomes)) < archive.count


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
    queries, stored = _comparison_words(genomes), _comparison_words(archive.genomes)
    same = jnp.all(queries[:, None] == stored[None], axis=2)
    same &= is_known(archive)[None]
    index = jnp.argmax(same, axis=1).astype(jnp.int32)
    # Compare in full: the index is 0 where nothing matched, and two genomes may share a hash.
    matches = jnp.all(genomes == archive.genomes[index], axis=1)
    return matches & (index < archive.count), jnp.where(matches, index, 0)


def is_repeat(archive: Archive, genomes: jax.Array) -> jax.Array:
    """Returns which of the genomes `[P, W]` are in the archive or equal an earlier one of them, `[P]` bool."""
    same = jnp.all(genomes[:, None] == genomes[None], axis=2)
    is_duplicate = jnp.any(jnp.tril(same, -1), axis=1)
    return find(archive, genomes)[0] | is_duplicate


@jax.named_scope("archive")
def insert(archive: Archive, genomes: jax.Array, values: Any, new: jax.Array) -> Archive:
    """Adds genomes to the archive.

    Args:
        archive: of one image.
        genomes: `[P, W]`.
        values: pytree of `[P]`.
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


def _comparison_words(genomes: jax.Array) -> jax.Array:
    """Returns the words `[N, V]` by which genomes `[N, W]` are compared: their own, or a two-word hash of long genomes.

    Of two long genomes with the same hash a lookup finds only the one inserted first, and the other is evaluated again.
    With a million genomes this happens in one search of 10^7.
    """
    words = genomes.shape[1]
    if words <= 4:
        return genomes
    # Universal hashing: fixed random odd multipliers, and the high bits mixed into the low ones.
    factors = jnp.asarray(np.random.default_rng(0).integers(0, 2**32, (2, words), np.uint32) | np.uint32(1))
    mixed = genomes ^ jnp.right_shift(genomes, jnp.full_like(genomes, 15))
    summed = jnp.sum(mixed[:, None] * factors[None], axis=2, dtype=jnp.uint32)
    return summed ^ jnp.right_shift(summed, jnp.full_like(summed, 16))
