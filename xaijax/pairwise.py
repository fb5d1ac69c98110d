"""Counts and orders of short arrays by comparing all pairs: a kernel each, where XLA's own are several.

On CPU a compiled kernel takes memory maps, of which Linux gives a process some 65,000, and time to compile. Nothing
here rounds.
"""

import jax
import jax.numpy as jnp

SHORT = 512
"""Elements up to which all pairs are compared; a scan of more is XLA's."""


def running_count(flags: jax.Array) -> jax.Array:
    """Returns how many of `[N]` bool are set up to each, itself included, `[N]` int32."""
    if len(flags) > SHORT:
        return jnp.cumsum(flags, dtype=jnp.int32)
    return jnp.sum(_up_to(len(flags)) & flags[None], axis=1, dtype=jnp.int32)


def falling_ranks(values: jax.Array) -> jax.Array:
    """Returns the rank of each of `[N]` float32 in falling order, ties in their order, `[N]` int32; none is NaN."""
    mine, other = values[:, None], values[None]
    is_before = (other > mine) | ((other == mine) & ~_up_to(len(values)).T)
    return jnp.sum(is_before, axis=1, dtype=jnp.int32)


def _up_to(count: int) -> jax.Array:
    """Returns `[N, N]` bool: whether j is at most i."""
    index = jnp.arange(count, dtype=jnp.int32)
    return index[None] <= index[:, None]
