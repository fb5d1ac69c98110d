"""Maps over the rows of a batch, one or a few at a time, so that the number of rows never changes a row's last bits.

XLA chooses its matrix kernels by size, so all rows computed at once would be rounded depending on their number.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

T = TypeVar("T")


def pad_rows(rows: T, count: int) -> T:
    """Appends `count` rows of zeros to the rows of a pytree; of random keys, copies of the last one."""

    def pad(leaf: jax.Array) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], count, axis=0)])
        return jnp.pad(leaf, [(0, count)] + [(0, 0)] * (leaf.ndim - 1))

    return jax.tree.map(pad, rows)


def choose_rows(which: jax.Array, rows: T, others: T) -> T:
    """Returns the rows of a pytree where `which` `[R]` bool holds, and those of `others` elsewhere."""

    def choose(own: jax.Array, other: jax.Array) -> jax.Array:
        return jnp.where(which.reshape(-1, *(1,) * (own.ndim - 1)), own, other)

    return jax.tree.map(choose, rows, others)


def cut_groups(rows: T, size: int) -> T:
    """Cuts the rows of a pytree into groups `[G, size, ...]`, the last one padded with zeros."""
    padding = -len(jax.tree.leaves(rows)[0]) % size

    def cut(leaf: jax.Array) -> jax.Array:
        return leaf.reshape(len(leaf) // size, size, *leaf.shape[1:])

    return jax.tree.map(cut, pad_rows(rows, padding))


def accompany(rows: T) -> T:
    """Returns the rows of a pytree, with a row of zeros appended where there is only one.

    For a single row XLA hoists work out of the loop over rows, or unrolls the loop, and rounds the row differently than
    among others.
    """
    return pad_rows(rows, 1) if len(jax.tree.leaves(rows)[0]) == 1 else rows


def map_rows(function: Callable[[Any], Any], rows: Any, needed: jax.Array | None = None) -> Any:
    """Maps `function` over the rows of a pytree, one at a time.

    Where `needed` `[R]` bool is False, `function` does not run and the result is zeros; None runs it for every row.
    """
    count = len(jax.tree.leaves(rows)[0])
    if needed is not None:
        function, rows = _where_needed(function), (needed, rows)
    return jax.tree.map(lambda leaf: leaf[:count], jax.lax.map(function, accompany(rows)))


def map_groups(function: Callable[[Any], Any], rows: Any, size: int, needed: jax.Array | None = None) -> Any:
    """Maps `function` over the rows of a pytree, `size` rows at a time; the last group is padded with zeros.

    A group of which no row is `needed` is skipped; see `map_rows`.
    """
    count = len(jax.tree.leaves(rows)[0])
    if needed is not None:
        needed = jnp.any(cut_groups(needed, size), axis=1)
    mapped = map_rows(jax.vmap(function), cut_groups(rows, size), needed)
    return jax.tree.map(lambda leaf: leaf.reshape(len(leaf) * size, *leaf.shape[2:])[:count], mapped)


def sequential_vmap(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Gives a function a vmap rule that loops over images.

    XLA chooses its matrix kernels by size, and the last bits of what is fitted to an image must not depend on how many
    others there are.

    Args:
        function: traceable, of one image.

    Returns:
        `function(needed, *arguments)`; where `needed` `[]` bool is False, `function` does not run and the result is
        zeros.
    """

    @jax.custom_batching.custom_vmap
    def guarded(needed: jax.Array, *arguments: Any) -> jax.Array:
        shape = jax.eval_shape(function, *arguments)
        return jax.lax.cond(needed, function, lambda *_: jnp.zeros(shape.shape, shape.dtype), *arguments)

    @guarded.def_vmap
    def loop_over_images(size: int, is_batched: Any, *arguments: Any) -> tuple[jax.Array, bool]:
        def batched(leaf: jax.Array, is_batched: bool) -> jax.Array:
            return leaf if is_batched else jnp.broadcast_to(leaf[None], (size, *leaf.shape))

        rows = jax.tree.map(batched, arguments, tuple(is_batched))
        return map_rows(lambda row: guarded(*row), rows), True

    sequential: Callable[..., jax.Array] = guarded
    return sequential


def _where_needed(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def guarded(row: tuple[jax.Array, Any]) -> Any:
        needed, arguments = row
        shapes = jax.eval_shape(function, arguments)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.cond(needed, function, lambda _: zeros, arguments)

    return guarded
