"""Running counts and ranks of short arrays, by comparing all pairs: one kernel each, where XLA's own take several.

On CPU each compiled kernel costs compile time and memory maps, of which Linux allows a process some 65,000. The results
are exact.
"""

import jax
import jax.numpy as jnp
import numpy as np

SHORT = 512
"""Length up to which all pairs are compared; longer arrays take XLA's scan."""


def running_count(flags: jax.Array) -> jax.Array:
    """Returns how many of the flags `[N]` bool are set up to and including each, `[N]` int32."""
    if len(flags) > SHORT:
        return jnp.cumsum(flags, dtype=jnp.int32)
    return jnp.sum(np.tri(len(flags), dtype=bool) & flags[None], axis=1, dtype=jnp.int32)


def falling_ranks(values: jax.Array) -> jax.Array:
    """Returns the rank of each value `[N]` float32 by falling value, ties in index order, `[N]` int32; none is NaN."""
    own, other = values[:, None], values[None]
    is_before = (other > own) | ((other == own) & np.tri(len(values), k=-1, dtype=bool))
    return jnp.sum(is_before, axis=1, dtype=jnp.int32)
