"""Running counts and ranks of short arrays, by comparing all pairs: one kernel each, where XLA's own take several.

On CPU each compiled kernel costs compile time and memory maps, of which Linux allows a process some 65,000. The results
are exact.
"""

import jax
import jax.numpy as jnp

SHORT = 512
"""Length up to which all pairs are compared; longer arrays take XLA's scan."""


def running_count(flags: jax.Array) -> jax.Array:
    """Returns how many of the flags `[N]` bool are set up to and including each, `[N]` int32."""
    if len(flags) > SHORT:
        return jnp.cumsum(flags, dtype=jnp.int32)
    return jnp.sum(_up_to(len(flags)) & flags[None], axis=1, dtype=jnp.int32)


def falling_ranks(values: jax.Array) -> jax.Array:
    """Returns the rank of each value `[N]` float32 by falling value, ties in index order, `[N]` int32; none is NaN."""
    own, other = values[:, None], values[None]
    is_before = (other > own) | ((other == own) & ~_up_to(len(values)).T)
    return jnp.sum(is_before, axis=1, dtype=jnp.int32)


def _up_to(count: int) -> jax.Array:
    """Returns the lower triangle, `[N, N]` bool: whether column j is at most row i."""
    index = jnp.arange(count, dtype=jnp.int32)
    return index[None] <= index[:, None]
