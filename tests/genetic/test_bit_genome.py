"""Packed genomes against `np.packbits`, and the laws of the first population, of enumeration and of repair."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xaijax.genetic.bit_genome import count_words, enumerate_masks, pack, repair, unpack, varied_density, whole

packed = jax.jit(pack)
unpacked = jax.jit(unpack, static_argnums=1)
repaired = jax.jit(repair)
first_population = jax.jit(functools.partial(varied_density, count=9, words=2))
enumerated = jax.jit(functools.partial(enumerate_masks, count=10, words=2))


def packed_by_numpy(bits):
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 32)))
    return np.packbits(padded, axis=1, bitorder="little").view("<u4")


def as_number(genome):
    return int(genome[0]) | int(genome[1]) << 32


@pytest.mark.parametrize(("genes", "words"), [(1, 1), (31, 1), (32, 1), (33, 2), (64, 2), (65, 3)])
def test_words_hold_the_genes(genes, words):
    assert count_words(genes) == words


@settings(deadline=None, max_examples=40)
@given(bits=st.sampled_from([1, 32, 70]).flatmap(lambda genes: arrays(bool, (3, genes))))
def test_packing_agrees_with_numpy_and_unpacking_undoes_it(bits):
    words = packed(bits)
    np.testing.assert_array_equal(words, packed_by_numpy(bits))
    np.testing.assert_array_equal(unpacked(words, bits.shape[1]), bits)


@pytest.mark.parametrize("length", [0, 1, 32, 33, 64])
def test_the_whole_genome_sets_the_genes_in_use(length):
    assert as_number(whole(jnp.int32(length), 2)) == (1 << length) - 1


@pytest.mark.parametrize("length", [2, 33, 64])
def test_the_first_population_is_of_complementary_pairs_within_the_genes_in_use(length):
    genomes = [as_number(genome) for genome in np.asarray(first_population(jax.random.key(0), jnp.int32(length)))]
    assert len(genomes) == 9
    for one, twin in zip(genomes[:8:2], genomes[1:8:2], strict=True):
        assert one ^ twin == (1 << length) - 1
        assert one & twin == 0


@pytest.mark.parametrize("count", [10, 60])
def test_the_first_population_is_evenly_spread_from_sparse_to_dense(count):
    population = jax.jit(functools.partial(varied_density, count=count, words=32))(jax.random.key(0), jnp.int32(1024))
    density = np.sort(np.asarray(unpacked(population, 1024)).mean(axis=1))
    even = 0.1 + 0.8 * (np.arange(count) + 0.5) / count
    np.testing.assert_allclose(density, even, atol=4 * 0.5 / np.sqrt(1024) + 0.8 / count)


def test_the_first_genomes_do_not_depend_on_how_many_are_drawn():
    many = varied_density(jax.random.key(0), jnp.int32(60), count=40, words=2)
    np.testing.assert_array_equal(first_population(jax.random.key(0), jnp.int32(60)), many[:9])


@pytest.mark.parametrize("length", [2, 3, 5])
def test_enumeration_lists_every_mask_once_but_the_empty_and_the_whole(length):
    masks = (1 << length) - 2
    listed = [as_number(g) for start in range(0, masks, 10) for g in enumerated(jnp.int32(start), jnp.int32(length))]
    assert listed[:masks] == list(range(1, masks + 1))
    assert set(listed[masks:]) <= {masks}, "numbers past the last mask repeat it"


@pytest.mark.parametrize("length", [2, 33, 64])
def test_repair_leaves_no_genome_empty_or_whole_and_changes_no_other(length):
    full = (1 << length) - 1
    numbers = [0, full] * 100 + [1, full - 1, 1 << (length - 1)]
    genomes = np.array([(number & 0xFFFFFFFF, number >> 32) for number in numbers], np.uint32)
    after = [as_number(genome) for genome in np.asarray(repaired(jax.random.key(0), genomes, jnp.int32(length)))]
    assert all(0 < number < full for number in after)
    assert after[200:] == numbers[200:]
    assert {number.bit_count() for number in after[:200:2]} == {1}
    assert {number.bit_count() for number in after[1:200:2]} == {length - 1}
    assert len(set(after[:200:2])) >= min(length, 30), "the gene that repair sets is drawn from all in use"
