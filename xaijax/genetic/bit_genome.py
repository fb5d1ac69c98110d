"""Bit genomes, packed into words: 32 genes per `uint32`, the first gene in the lowest bit.

Random numbers are drawn as flat arrays here and in the operators: drawn in more dimensions, they double the compiled
code.
"""

import jax
import jax.numpy as jnp
import numpy as np

from xaijax import threefry

GENES_PER_WORD = 32

SHIFTS = np.arange(GENES_PER_WORD, dtype=np.uint32)
"""How far a word is shifted for each of its genes. A constant, as the others here: an accelerator would compute an
`iota` in a kernel of its own."""

_GOLDEN = (5**0.5 - 1) / 2


def count_words(genes: int) -> int:
    """Returns how many words hold `genes` bits."""
    return -(-genes // GENES_PER_WORD)


def pack(bits: jax.Array) -> jax.Array:
    """Packs `[..., S]` bool into `[..., ceil(S / 32)]` uint32."""
    genes = bits.shape[-1]
    padded = jnp.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, -genes % GENES_PER_WORD)])
    grouped = padded.reshape(*bits.shape[:-1], -1, GENES_PER_WORD).astype(jnp.uint32)
    return jnp.sum(jnp.left_shift(grouped, _like(SHIFTS, grouped)), axis=-1, dtype=jnp.uint32)


def unpack(words: jax.Array, genes: int) -> jax.Array:
    """Unpacks `[..., W]` uint32 into `[..., genes]` bool."""
    bits = jnp.right_shift(words[..., None], _like(SHIFTS, words[..., None])) & jnp.uint32(1)
    return bits.reshape(*words.shape[:-1], -1)[..., :genes].astype(jnp.bool_)


def whole(length: jax.Array, words: int) -> jax.Array:
    """Returns the genome `[W]` whose first `length` genes are set: the mask that keeps everything."""
    return pack(jnp.asarray(np.arange(words * GENES_PER_WORD, dtype=np.int32) < length))


def varied_density(key: jax.Array, length: jax.Array, *, count: int, words: int) -> jax.Array:
    """Draws an initial population of complementary pairs, from sparse to dense.

    Each pair has a density: its first genome keeps each gene with that probability, and its second is the complement.
    Every gene is thus kept in half of the population and at every density, a balanced experimental design. The
    densities are multiples of the golden ratio modulo 1, scaled to 0.1 to 0.9: they are evenly spread for any `count`,
    and the first genomes do not depend on it.

    Args:
        key: consumed.
        length: `[]` int32, genes in use; the rest stay 0.
        count: genomes to draw.
        words: words per genome.

    Returns:
        `[count, words]` uint32.
    """
    pairs = -(-count // 2)
    density = 0.1 + 0.8 * np.modf((np.arange(pairs)[:, None] + 0.5) * _GOLDEN)[0]
    draws = threefry.uniform(key, pairs * words * GENES_PER_WORD).reshape(pairs, -1)
    half = pack(draws < jnp.broadcast_to(jnp.asarray(density, jnp.float32), draws.shape)) & whole(length, words)[None]
    return with_complements(half, length)[:count]


def draw_halves(key: jax.Array, length: jax.Array, *, count: int, words: int) -> jax.Array:
    """Draws genomes `[count, words]` uint32 that keep each of the first `length` genes with probability 1/2.

    The first genomes do not depend on `count`.
    """
    bits = threefry.uniform(key, count * words * GENES_PER_WORD).reshape(count, -1) < 0.5
    return pack(bits) & whole(length, words)[None]


def with_complements(genomes: jax.Array, length: jax.Array) -> jax.Array:
    """Returns genomes `[2 P, W]`: each of `genomes` `[P, W]`, followed by its complement."""
    return jnp.stack([genomes, complement(genomes, length)], axis=1).reshape(-1, genomes.shape[1])


def complement(genomes: jax.Array, length: jax.Array) -> jax.Array:
    """Inverts the genes in use of genomes `[P, W]`."""
    return whole(length, genomes.shape[1])[None] & ~genomes


def enumerate_masks(start: jax.Array, length: jax.Array, *, count: int, words: int) -> jax.Array:
    """Enumerates the masks of a short genome, the empty and the whole one left out.

    Args:
        start: `[]` int32, number of the first mask to return, from 0.
        length: `[]` int32, genes in use, at most 30.
        count: masks to return.
        words: words per genome.

    Returns:
        `[count, words]` uint32; numbers past the last mask repeat it.
    """
    last = jnp.left_shift(jnp.int32(1), jnp.clip(length, 1, 30)) - 2
    number = jnp.minimum(start + 1 + jnp.arange(count, dtype=jnp.int32), last).astype(jnp.uint32)
    return jnp.pad(number[:, None], ((0, 0), (0, words - 1)))


def repair(key: jax.Array, genomes: jax.Array, length: jax.Array) -> jax.Array:
    """Sets one random gene of every empty genome and clears one of every whole genome; `[P, W]`."""
    count, words = genomes.shape
    gene = jnp.floor(threefry.uniform(key, count) * length.astype(jnp.float32)).astype(jnp.int32)
    flip = pack(np.arange(words * GENES_PER_WORD, dtype=np.int32)[None] == gene[:, None])
    degenerate = jnp.all(genomes == 0, axis=1) | jnp.all(genomes == whole(length, words)[None], axis=1)
    return jnp.where(degenerate[:, None], genomes ^ flip, genomes)


def _like(shifts: np.ndarray, words: jax.Array) -> np.ndarray:
    return shifts.reshape((1,) * (words.ndim - 1) + (-1,))
