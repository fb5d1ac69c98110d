"""Maps over the rows of a batch: one by one where last bits are promised, which is on CPU, and in parallel elsewhere.

XLA chooses its matrix kernels by size, so rows computed at once would be rounded depending on their number. On a GPU or
a TPU a loop over rows would launch every kernel once a row, and leave the device idle in between.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

T = TypeVar("T")

GROUP = 64
"""Least number of rows that are computed at a time where rows are computed in parallel; the most is under twice it."""

LANES = 128
"""Entries of the last axis that a TPU computes together; it pads shorter axes."""

_parallel: contextvars.ContextVar[bool | None] = contextvars.ContextVar("parallel", default=None)


@contextlib.contextmanager
def rows_in_parallel(parallel: bool) -> Iterator[None]:
    """Says for what is traced within whether rows are computed in parallel.

    A function that is compiled enters it with a static argument of its own, so that both forms are compiled apart.
    Outside of it the default device decides: in parallel, unless that is a CPU.
    """
    token = _parallel.set(parallel)
    try:
        yield
    finally:
        _parallel.reset(token)


def is_parallel() -> bool:
    """Returns whether what is being traced computes rows in parallel; see `rows_in_parallel`."""
    parallel = _parallel.get()
    return default_platform() != "cpu" if parallel is None else parallel


def default_platform() -> str:
    """Returns the platform that computes what no device was chosen for: "cpu", "gpu" or "tpu"."""
    device = getattr(jax.config, "jax_default_device", None)
    return jax.default_backend() if device is None else str(getattr(device, "platform", device))


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


def row_taker(rows: T) -> Callable[[jax.Array], T]:
    """Returns a function that takes rows `[N]` int32 of the arrays `[R, ...]` of a pytree.

    Where rows are computed in parallel, images with few channels are laid out as vectors for it: a TPU would pad their
    last axis to `LANES`, throughout the array.
    """

    def laid_out(leaf: jax.Array) -> jax.Array:
        return leaf.reshape(len(leaf), -1) if is_parallel() and leaf.ndim > 2 and leaf.shape[-1] < LANES else leaf

    flat = jax.tree.map(laid_out, rows)
    return lambda index: jax.tree.map(
        lambda vectors, leaf: vectors[index].reshape(len(index), *leaf.shape[1:]), flat, rows
    )


def cut_groups(rows: T, size: int) -> T:
    """Cuts the rows of a pytree into groups `[G, size, ...]`, the last one padded with zeros."""
    padding = -len(jax.tree.leaves(rows)[0]) % size

    def cut(leaf: jax.Array) -> jax.Array:
        return leaf.reshape(len(leaf) // size, size, *leaf.shape[1:])

    return jax.tree.map(cut, pad_rows(rows, padding))


def accompany(rows: T) -> T:
    """Returns the rows of a pytree; on CPU, with a row of zeros appended where there is only one.

    For a single row XLA hoists work out of the loop over rows, or unrolls the loop, and rounds the row differently than
    among others.
    """
    return pad_rows(rows, 1) if len(jax.tree.leaves(rows)[0]) == 1 and not is_parallel() else rows


def map_rows(function: Callable[[Any], Any], rows: Any, needed: jax.Array | None = None) -> Any:
    """Maps `function` over the rows of a pytree, one at a time or, where rows are computed in parallel, many.

    Where `needed` `[R]` bool is False, the result is zeros, and `function` does not run if rows are taken one at a
    time; None runs it for every row. Many are at least `GROUP`, and not all of a large batch, to bound the memory.
    """
    if not is_parallel():
        return _loop(function, rows, needed)
    count = len(jax.tree.leaves(rows)[0])
    if count < 2 * GROUP:
        return _at_once(function, rows, needed)
    return _zeros_unless(needed, map_groups(function, rows, -(-count // (count // GROUP)), needed))


def map_groups(function: Callable[[Any], Any], rows: Any, size: int, needed: jax.Array | None = None) -> Any:
    """Maps `function` over the rows of a pytree, `size` rows at a time; the last group is padded with zeros.

    A group of which no row is `needed` is skipped; see `map_rows`. It is what bounds the memory of functions that hold
    many activations, and so takes groups where rows are computed in parallel too, of at least `GROUP` rows.
    """
    count = len(jax.tree.leaves(rows)[0])
    if is_parallel():
        size = min(max(size, GROUP), count)
    if needed is not None:
        needed = jnp.any(cut_groups(needed, size), axis=1)
    mapped = _loop(jax.vmap(function), cut_groups(rows, size), needed)
    return jax.tree.map(lambda leaf: leaf.reshape(len(leaf) * size, *leaf.shape[2:])[:count], mapped)


def row_wise(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Gives a function a vmap rule that maps it as `map_rows` does.

    Args:
        function: traceable, of one image.

    Returns:
        `function(needed, *arguments)`; where `needed` `[]` bool is False, the result is zeros. `function` does not run
        then, or, where rows are computed in parallel, if it is needed for none of them.
    """

    @jax.custom_batching.custom_vmap
    def guarded(needed: jax.Array, *arguments: Any) -> jax.Array:
        return _where_needed(lambda row: function(*row))((needed, arguments))

    @guarded.def_vmap
    def over_rows(size: int, is_batched: Any, *arguments: Any) -> tuple[jax.Array, bool]:
        def batched(leaf: jax.Array, is_batched: bool) -> jax.Array:
            return leaf if is_batched else jnp.broadcast_to(leaf[None], (size, *leaf.shape))

        needed, *rows = jax.tree.map(batched, arguments, tuple(is_batched))
        if not is_parallel():
            return map_rows(lambda row: guarded(*row), (needed, *rows)), True
        all_rows = _where_needed(lambda rows: _at_once(lambda row: function(*row), rows, needed))
        return all_rows((jnp.any(needed), tuple(rows))), True

    wise: Callable[..., jax.Array] = guarded
    return wise


@jax.custom_batching.custom_vmap
def anywhere(flag: jax.Array) -> jax.Array:
    """Returns a flag `[]` bool; under `vmap`, one for all rows: whether it is set in any.

    A loop or a branch that asks for it stays one under `vmap`, and ends or is skipped when no row needs it any more.
    """
    return flag


@anywhere.def_vmap
def _in_any_row(size: int, is_batched: Any, flag: jax.Array) -> tuple[jax.Array, bool]:
    return jnp.any(flag), False


def _loop(function: Callable[[Any], Any], rows: Any, needed: jax.Array | None) -> Any:
    """Maps `function` over the rows of a pytree, one at a time; see `map_rows`."""
    count = len(jax.tree.leaves(rows)[0])
    if needed is not None:
        function, rows = _where_needed(function), (needed, rows)
    return jax.tree.map(lambda leaf: leaf[:count], jax.lax.map(function, accompany(rows)))


def _at_once(function: Callable[[Any], Any], rows: Any, needed: jax.Array | None) -> Any:
    """Maps `function` over the rows of a pytree, all in parallel; see `map_rows`."""
    return _zeros_unless(needed, jax.vmap(function)(rows))


def _zeros_unless(needed: jax.Array | None, rows: Any) -> Any:
    return rows if needed is None else choose_rows(needed, rows, jax.tree.map(jnp.zeros_like, rows))


def _where_needed(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def guarded(row: tuple[jax.Array, Any]) -> Any:
        needed, arguments = row
        shapes = jax.eval_shape(function, arguments)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.cond(needed, function, lambda _: zeros, arguments)

    return guarded
