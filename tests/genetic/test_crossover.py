"""Crossover: where the genes of a child come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.genetic.bit_genome import unpack, whole
from xaijax.genetic.crossover import CROSSOVERS

CHILDREN = 4000
LENGTH = 40  # genes in use, of 64

cross = {name: jax.jit(crossover) for name, crossover in CROSSOVERS.items()}


def taken_from(parent, name, length=LENGTH):
    """Returns `[CHILDREN, length]`: which genes come from this parent, read off a whole and an empty parent."""
    full = jnp.broadcast_to(whole(jnp.int32(length), 2), (CHILDREN, 2))
    empty = jnp.zeros((CHILDREN, 2), jnp.uint32)
    parents = (full, empty) if parent == "mother" else (empty, full)
    children = np.asarray(unpack(cross[name](jax.random.key(3), *parents, jnp.int32(length)), 64))
    assert not children[:, length:].any(), "genes that are not in use stay 0"
    return children[:, :length]


def assert_frequencies(counts, expected):
    sigma = np.sqrt(expected * (1 - expected) / counts.sum())
    assert np.all(np.abs(counts / counts.sum() - expected) <= 4.5 * sigma)


@pytest.mark.parametrize("name", CROSSOVERS)
def test_every_gene_of_a_child_is_one_of_its_parents(name):
    mothers, fathers = np.random.default_rng(0).integers(0, 2**32, (2, CHILDREN, 2), np.uint32)
    children = np.asarray(cross[name](jax.random.key(0), mothers, fathers, jnp.int32(64)))
    assert not np.any((children ^ mothers) & (children ^ fathers))
    assert np.any(children != mothers)
    assert np.any(children != fathers)


def test_uniform_takes_each_gene_from_either_parent_with_equal_chance():
    kept = taken_from("mother", "uniform")
    tolerance = 4.5 * 0.5 / np.sqrt(CHILDREN)
    np.testing.assert_allclose(kept.mean(axis=0), 0.5, atol=tolerance)
    correlation = np.corrcoef(kept.T) - np.eye(LENGTH)
    assert np.abs(correlation).max() <= 2 * tolerance, "genes are taken independently"


def test_one_point_takes_a_beginning_from_the_mother_and_every_cut_alike():
    kept = taken_from("mother", "one-point")
    cut = kept.sum(axis=1)
    np.testing.assert_array_equal(kept, np.arange(LENGTH)[None] < cut[:, None])
    counts = np.bincount(cut, minlength=LENGTH + 1)
    assert counts[0] == counts[LENGTH] == 0, "each parent gives at least one gene"
    assert_frequencies(counts[1:LENGTH], np.full(LENGTH - 1, 1 / (LENGTH - 1)))


def test_two_point_takes_one_interval_from_the_father_and_every_pair_of_cuts_alike():
    taken = taken_from("father", "two-point")
    edges = np.abs(np.diff(np.pad(taken, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1)
    assert set(edges) == {0, 2}
    length = np.arange(LENGTH + 1)
    expected = np.where(length == 0, 1, 2 * (1 - length / (LENGTH + 1))) / (LENGTH + 1)
    assert_frequencies(np.bincount(taken.sum(axis=1), minlength=LENGTH + 1), expected)


@pytest.mark.parametrize("name", CROSSOVERS)
def test_the_shortest_genome_can_be_crossed(name):
    taken = taken_from("mother", name, length=1)
    assert taken.shape == (CHILDREN, 1)
    assert taken.all() == (name == "one-point"), "one gene cannot be cut, so the mother gives it"
