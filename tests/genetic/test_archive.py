"""The archive against a dictionary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaijax.genetic import archive as archives

CAPACITY, POPULATION = 10, 4
VALUES = {"score": jax.ShapeDtypeStruct((), jnp.float32), "label": jax.ShapeDtypeStruct((), jnp.int32)}

find = jax.jit(archives.find)
is_repeat = jax.jit(archives.is_repeat)
insert = jax.jit(archives.insert)

# Few values, 0 among them, in either word, so that genomes repeat and differ in one word only.
genome = st.tuples(st.sampled_from([0, 1, 2**31]), st.sampled_from([0, 5, 2**32 - 1]))
generation = st.lists(genome, min_size=POPULATION, max_size=POPULATION)


@pytest.mark.parametrize("width", [2, 7])
@settings(deadline=None, max_examples=40)
@given(generations=st.lists(generation, min_size=1, max_size=4), asked=generation)
def test_an_archive_is_a_dictionary_in_the_order_of_evaluation(width, generations, asked):
    archive = archives.empty(CAPACITY, width, VALUES)
    known = {}

    def widened(genomes):
        return np.pad(np.array(genomes, np.uint32), ((0, 0), (0, width - 2)), constant_values=3)

    for number, genomes in enumerate(generations):
        words = widened(genomes)
        repeats = [one in known or one in genomes[:index] for index, one in enumerate(genomes)]
        np.testing.assert_array_equal(is_repeat(archive, words), repeats)

        new = ~np.array(repeats)
        new &= np.cumsum(new) <= CAPACITY - len(known)
        labels = np.arange(POPULATION, dtype=np.int32) + 10 * number
        archive = insert(archive, words, {"score": labels.astype(np.float32) / 8, "label": labels}, new)
        known |= {one: label for one, label, is_new in zip(genomes, labels, new, strict=True) if is_new}

    assert int(archive.count) == len(known) <= CAPACITY
    np.testing.assert_array_equal(archive.genomes[: len(known)], widened(list(known)))
    assert not np.any(archive.genomes[len(known) :])
    np.testing.assert_array_equal(archive.values["label"][: len(known)], list(known.values()))
    np.testing.assert_array_equal(archive.values["score"], archive.values["label"].astype(np.float32) / 8)
    found, index = find(archive, widened(asked))
    np.testing.assert_array_equal(found, [one in known for one in asked])
    np.testing.assert_array_equal(index, [list(known).index(one) if one in known else 0 for one in asked])


def test_an_empty_archive_does_not_know_the_empty_genome():
    archive = archives.empty(CAPACITY, 2, VALUES)
    found, _ = find(archive, jnp.zeros((POPULATION, 2), jnp.uint32))
    assert not found.any()
    np.testing.assert_array_equal(
        is_repeat(archive, jnp.zeros((POPULATION, 2), jnp.uint32)), [False] + [True] * (POPULATION - 1)
    )


@pytest.mark.parametrize("width", [4, 5, 8])
def test_genomes_of_the_same_words_or_of_one_other_gene_are_told_apart(width):
    words = np.random.default_rng(0).integers(0, 2**32, width, np.uint32)
    turned = [np.roll(words, shift) for shift in range(width)]
    flipped = [words ^ (np.arange(width) == word) * np.uint32(1 << gene) for word in range(width) for gene in range(32)]
    genomes = np.array(turned + flipped, np.uint32)
    count = len(genomes)
    archive = archives.empty(count, width, VALUES)
    values = {"score": np.zeros(count, np.float32), "label": np.arange(count, dtype=np.int32)}
    archive = insert(archive, genomes, values, np.ones(count, bool))
    known, index = find(archive, genomes)
    assert np.all(known)
    np.testing.assert_array_equal(index, np.arange(count))
    known, index = find(archive, ~genomes)
    assert not np.any(known)
    assert not np.any(index)
