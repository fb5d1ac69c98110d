"""Mutation: how many genes it flips, and which."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.genetic.bit_genome import unpack
from xaijax.genetic.mutation import bit_flip

CHILDREN = 4000
GENOMES = np.random.default_rng(0).integers(0, 2**32, (CHILDREN, 2), np.uint32)

mutate = jax.jit(functools.partial(bit_flip, flips=2.0))


@pytest.mark.parametrize("length", [4, 33, 64])
def test_the_mean_number_of_flips_does_not_depend_on_the_length(length):
    flipped = np.asarray(unpack(GENOMES ^ mutate(jax.random.key(1), GENOMES, jnp.int32(length)), 64))
    assert not flipped[:, length:].any(), "genes that are not in use stay"
    sigma = np.sqrt(2 / length * (1 - 2 / length) / CHILDREN)
    np.testing.assert_allclose(flipped[:, :length].mean(axis=0), 2 / length, atol=4 * sigma)


def test_flips_of_as_many_as_there_are_genes_flip_all():
    after = mutate(jax.random.key(0), GENOMES, jnp.int32(2))
    np.testing.assert_array_equal(after ^ GENOMES, np.broadcast_to(np.array([3, 0], np.uint32), GENOMES.shape))
