"""Images in groups: how a method that differentiates through the classifier goes through a batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def group_size(micro_batch: int) -> int:
    """Returns how many images a fit that differentiates through the classifier takes at once.

    A quarter of a micro-batch, as a backward pass holds the activations of every layer, but at least 4 where the
    micro-batch has as many. It does not depend on the number of images, so neither do an image's last bits.
    """
    return min(micro_batch, max(4, micro_batch // 4))


def map_groups(function: Callable[[Any], Any], rows: Any, size: int) -> Any:
    """Maps `function` over the rows of a pytree, `size` rows at once; the last ones are padded with zeros."""
    count = len(jax.tree.leaves(rows)[0])
    padding = -count % size

    def cut(leaf: jax.Array) -> jax.Array:
        padded = jnp.pad(leaf, [(0, padding)] + [(0, 0)] * (leaf.ndim - 1))
        return padded.reshape((count + padding) // size, size, *leaf.shape[1:])

    mapped = jax.lax.map(jax.vmap(function), jax.tree.map(cut, rows))
    return jax.tree.map(lambda leaf: leaf.reshape(count + padding, *leaf.shape[2:])[:count], mapped)
