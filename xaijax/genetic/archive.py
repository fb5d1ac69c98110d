"""The archive of one image: every genome that was evaluated, and what the evaluation said."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.pairwise import running_count


@chex.dataclass(frozen=True)
class Archive:
    """What is known of one image's genomes."""

    genomes: jax.Array  # [E, W] uint32, in the order of their evaluation; 0 past the count
    values: Any  # pytree of [E], what an evaluation returns
    count: jax.Array  # [] int32, evaluations so far


def empty(capacity: int, words: int, values: Any) -> Archive:
    """Returns an archive without genomes.

    Args:
        capacity: the most evaluations it can hold.
        words: words a genome.
        values: pytree of `jax.ShapeDtypeStruct`, the scalars that an evaluation returns.
    """
    return Archive(
        genomes=jnp.zeros((capacity, words), jnp.uint32),
        values=jax.tree.map(lambda value: jnp.zeros((capacity,), value.dtype), values),
        count=jnp.int32(0),
    )


def is_known(archive: Archive) -> jax.Array:
    """Returns which rows of an archive of one image hold a genome, `[E]` bool."""
    return jnp.arange(len(archive.genomes)) < archive.count


@jax.named_scope("archive")
def find(archive: Archive, genomes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Looks genomes up.

    Args:
        archive: of one image.
        genomes: `[P, W]`.

    Returns:
        Whether each is known, `[P]` bool, and its index in the archive, `[P]` int32 (0 where it is not known).
    """
    mine, known = _short(genomes), _short(archive.genomes)
    same = jnp.all(mine[:, None] == known[None], axis=2)
    same &= is_known(archive)[None]
    index = jnp.argmax(same, axis=1).astype(jnp.int32)
    # Where none is the same, the first one is not either.
    is_it = jnp.all(genomes == archive.genomes[index], axis=1)
    return is_it & (index < archive.count), jnp.where(is_it, index, 0)


def is_repeat(archive: Archive, genomes: jax.Array) -> jax.Array:
    """Returns which of `[P, W]` genomes are known, or equal one before them: `[P]` bool."""
    same = jnp.all(genomes[:, None] == genomes[None], axis=2)
    twin = jnp.any(jnp.tril(same, -1), axis=1)
    return find(archive, genomes)[0] | twin


@jax.named_scope("archive")
def insert(archive: Archive, genomes: jax.Array, values: Any, new: jax.Array) -> Archive:
    """Adds genomes to the archive.

    Args:
        archive: of one image.
        genomes: `[P, W]`.
        values: pytree of `[P]`.
        new: `[P]` bool, which to add; the caller sees to it that they fit.
    """
    capacity = archive.genomes.shape[0]
    index = jnp.where(new, archive.count + running_count(new) - 1, capacity)
    return Archive(
        genomes=archive.genomes.at[index].set(genomes, mode="drop"),
        values=jax.tree.map(lambda old, value: old.at[index].set(value, mode="drop"), archive.values, values),
        count=archive.count + jnp.sum(new, dtype=jnp.int32),
    )


def _short(genomes: jax.Array) -> jax.Array:
    """Returns genomes `[N, W]` as what is compared of each: itself, or of a long one two words that it is hashed to.

    Two long genomes of equal hashes are taken for unequal where one is looked up behind the other: among a million this
    happens once in 10^7 searches, and costs an evaluation.
    """
    words = genomes.shape[1]
    if words <= 4:
        return genomes
    # Universal hashing: odd random multipliers, fixed once and for all, and the high bits mixed into the low ones.
    factors = jnp.asarray(np.random.default_rng(0).integers(0, 2**32, (2, words), np.uint32) | np.uint32(1))
    mixed = genomes ^ jnp.right_shift(genomes, jnp.full_like(genomes, 15))
    summed = jnp.sum(mixed[:, None] * factors[None], axis=2, dtype=jnp.uint32)
    return summed ^ jnp.right_shift(summed, jnp.full_like(summed, 16))
