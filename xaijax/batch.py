"""The batch of images and classes that the compiled programs take."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax import threefry
from xaijax.fitness import Targets

REPEATS = 0x52657065
"""Folded into the key of a row before the number of a repeat is: `fold_in(key, r)` alone is `split(key, n)[r]`, a key
that the first search uses itself."""


@chex.dataclass(frozen=True)
class Batch:
    """B images and R rows, each row one class of one image to explain; `xaijax.explain` checks the arrays."""

    images: jax.Array  # [B, H, W, C] uint8, or float32 in [0, 1]
    targets: Targets  # [R]
    active: jax.Array  # [R] bool, False for slots that hold no image
    source: jax.Array | None = None  # [R] int32, the image of each row; None for one row per image, in their order
    labels: jax.Array | None = None  # [B, H, W] int32 in [0, H W), label maps; None segments on the device
    background: jax.Array | None = None  # [B, H, W, C] float32 in [0, 1], replaces the image where a mask is 0
    start: jax.Array | None = None  # to start a search from: heat maps [B, H, W] float32, or masks [B, M, H, W] bool

    @property
    def image_index(self) -> jax.Array:
        """The image of each row, `[R]` int32."""
        return jnp.arange(len(self.active), dtype=jnp.int32) if self.source is None else self.source

    @property
    def has_image(self) -> jax.Array:
        """Which slots hold an image to explain, `[B]` bool."""
        return jnp.any(self.active.reshape(len(self.images), -1), axis=1)

    def of_rows(self, tree: Any) -> Any:
        """Gathers a pytree of `[B, ...]` by the image of each row, `[R, ...]`."""
        return tree if self.source is None else jax.tree.map(lambda leaf: leaf[self.source], tree)


def make_batch(
    words: np.ndarray,
    images: Any,
    targets: Targets,
    *,
    active: np.ndarray | None = None,
    repeats: int = 1,
    labels: Any = None,
    background: Any = None,
    start: Any = None,
) -> tuple[np.ndarray, Batch]:
    """Makes the batch of B images with K classes each, and the words of its R = B K `repeats` rows, in host memory.

    Args:
        words: `[B, 2]` uint32, the halves of the images' ids.
        images: see `Batch`, as the last three.
        targets: `[B K]`, the classes of the first image first.
        active: `[B K]` bool; None for all.
        repeats: seeds per row, all of a row one after the other.
        labels: `[B, H, W]`, or None.
        background: `[B, H, W, C]`, or None.
        start: `[B, H, W]` or `[B, M, H, W]`, or None.

    Returns:
        The words `[R, 2]`, or `[R, 3]` with the number of the repeat; and the batch.
    """
    count, requested = len(images), len(targets.explained)
    source: Any = np.repeat(np.arange(count, dtype=np.int32), requested // count * repeats)
    words = words[source]
    if repeats > 1:
        numbers = np.tile(np.arange(repeats, dtype=np.uint32), requested)
        words = np.concatenate([words, numbers[:, None]], axis=1)
    active = np.ones((requested,), bool) if active is None else active
    return words, Batch(
        images=images,
        targets=jax.tree.map(lambda leaf: np.repeat(leaf, repeats), targets),
        active=jnp.asarray(np.repeat(active, repeats)),
        source=None if len(source) == count else source,
        labels=labels,
        background=background,
        start=start,
    )


def image_keys(key: jax.Array, words: jax.Array) -> jax.Array:
    """Derives the key of each row, `[R]`, from the key of the run and the id of the row's image.

    Args:
        key: of the run, of any generator; the rows' keys are Threefry's, whose draws do not depend on the batch.
        words: `[R, 2]` uint32, the two halves of the image's id, or `[R, 3]` with the number of the repeat last; repeat
            0 has the key of a run without repeats.
    """
    run = threefry.as_threefry(key)

    def fold(row: jax.Array) -> jax.Array:
        own = threefry.fold_in(threefry.fold_in(run, row[0]), row[1])
        if len(row) == 2:
            return own
        again = threefry.fold_in(threefry.fold_in(own, REPEATS), row[2])
        return jnp.where(row[2] > 0, again, own)

    return jax.vmap(fold)(jnp.asarray(words))
