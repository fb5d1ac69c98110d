"""Work on what is known of one image, done image by image under `vmap`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from xaijax.sequential import map_rows


def one_by_one(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Returns `function(needed, *arguments)` that goes image by image under `vmap`.

    XLA chooses its matrix kernels by size, and the last bits of what is fitted to an image must not depend on how many
    others there are.

    Args:
        function: traceable, of one image; where `needed` `[]` bool is False it does not run, and zeros are returned.
    """

    @jax.custom_batching.custom_vmap
    def guarded(needed: jax.Array, *arguments: Any) -> jax.Array:
        shape = jax.eval_shape(function, *arguments)
        return jax.lax.cond(needed, function, lambda *_: jnp.zeros(shape.shape, shape.dtype), *arguments)

    @guarded.def_vmap
    def in_turn(size: int, is_batched: Any, *arguments: Any) -> tuple[jax.Array, bool]:
        def every(leaf: jax.Array, is_batched: bool) -> jax.Array:
            return leaf if is_batched else jnp.broadcast_to(leaf[None], (size, *leaf.shape))

        rows = jax.tree.map(every, arguments, tuple(is_batched))
        return map_rows(lambda row: guarded(*row), rows), True

    found: Callable[..., jax.Array] = guarded
    return found
