"""What is to be explained, as the compiled programs take it."""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.fitness import Targets


@chex.dataclass(frozen=True)
class Batch:
    """B images and R rows to explain, a class of an image each; see `xaijax.explain`, which checks the arrays."""

    images: jax.Array  # [B, H, W, C] uint8, or float32 in [0, 1]
    targets: Targets  # [R]
    active: jax.Array  # [R] bool, False for slots that hold no image
    source: jax.Array | None = None  # [R] int32, the image of each row; None for one row an image, in their order
    labels: jax.Array | None = None  # [B, H, W] int32 in [0, H W), label maps; None segments on the device
    background: jax.Array | None = None  # [B, H, W, C] float32 in [0, 1], what stands where a mask is 0
    start: jax.Array | None = None  # [B, H, W] float32, a heat map, or [B, M, H, W] bool, masks; where a search starts

    @property
    def image_index(self) -> jax.Array:
        """The image of each row, `[R]` int32."""
        return jnp.arange(len(self.active), dtype=jnp.int32) if self.source is None else self.source

    @property
    def has_image(self) -> jax.Array:
        """Which slots hold an image that is to be explained, `[B]` bool."""
        return jnp.any(self.active.reshape(len(self.images), -1), axis=1)

    def of_rows(self, tree: Any) -> Any:
        """Returns a pytree of `[B, ...]` as `[R, ...]`: what belongs to each row's image."""
        return tree if self.source is None else jax.tree.map(lambda leaf: leaf[self.source], tree)


def image_keys(key: jax.Array, words: jax.Array) -> jax.Array:
    """Returns the keys `[R]` of rows in a run of `key`.

    Args:
        key: of the run.
        words: `[R, 2]` uint32, the halves of their images' ids; of `[R, 3]` the last is the number of the repeat, whose
            0 has the key of a run without repeats.
    """

    def fold(row: jax.Array) -> jax.Array:
        own = threefry.fold_in(threefry.fold_in(key, row[0]), row[1])
        return own if len(row) == 2 else jnp.where(row[2] > 0, threefry.fold_in(own, row[2]), own)

    return jax.vmap(fold)(jnp.asarray(words))
