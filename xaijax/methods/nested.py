"""Children that follow from all that a search knows: nested masks in the order of the score so far."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from xaijax.fitness import in_game
from xaijax.genetic.archive import Archive, is_known
from xaijax.genetic.genome import complement, pack
from xaijax.masks.ranked import ranks
from xaijax.methods.surrogate import contributions

NEARLY = 0.9
"""Share of the highest probability that is nearly the highest."""


def nested_masks(
    key: jax.Array,
    archive: Archive,
    length: jax.Array,
    needed: jax.Array,
    sizes: jax.Array,
    *,
    count: int,
    removed: bool = False,
) -> jax.Array:
    """Proposes masks of one image; see `xaijax.genetic.state.Guide`.

    Under `vmap` it goes image by image: XLA chooses its matrix kernels by size, and the last bits of an image's score
    must not depend on how many others there are.

    Args:
        key: consumed.
        archive: of `Response` values.
        length: `[]` int32, segments in use.
        needed: `[]` bool; where not, nothing is computed and empty masks are returned.
        sizes: `[S]` float32, the pixels of each segment, 0 past the last.
        count: masks to propose.
        removed: whether the masks are to be removed rather than kept; then their complements are returned.

    Returns:
        `[count, ceil(S / 32)]` uint32. Mask i keeps the segments of highest score up to an area drawn from the i-th of
        `count` equal parts of [0, 1], at least one segment and not all. Every other one, from the first, has the area
        scaled by that of the smallest mask known to have nearly the highest probability: larger ones teach little of
        what suffices.
    """
    masks = _nested_masks(count, removed)(key, archive, length, needed, sizes)
    return complement(masks, length) if removed else masks


@functools.cache
def _nested_masks(count: int, removed: bool) -> Callable[..., jax.Array]:
    def propose(key: jax.Array, archive: Archive, length: jax.Array, needed: jax.Array, sizes: jax.Array) -> jax.Array:
        nothing = jnp.zeros((count, archive.genomes.shape[1]), jnp.uint32)
        return jax.lax.cond(needed, ranked_masks, lambda *_: nothing, key, archive, length, sizes)

    def ranked_masks(key: jax.Array, archive: Archive, length: jax.Array, sizes: jax.Array) -> jax.Array:
        weight = (is_known(archive) & jnp.isfinite(archive.values.log_odds)).astype(jnp.float32)
        _, density = contributions(archive.genomes, archive.values, weight, sizes)
        place = ranks(jnp.where(sizes > 0, density, -jnp.inf))
        areas = jnp.cumsum(jnp.zeros_like(sizes).at[place].set(sizes)) / jnp.maximum(jnp.sum(sizes), 1)
        wanted = (jnp.arange(count, dtype=jnp.float32) + jax.random.uniform(key, (count,))) / count
        wanted = jnp.where(jnp.arange(count) % 2 == 0, wanted * nearly_best_area(archive), wanted)
        last = jnp.clip(jnp.searchsorted(areas, wanted).astype(jnp.int32), 0, jnp.maximum(length - 2, 0))
        genomes = pack(place[None] <= last[:, None])
        return jnp.pad(genomes, ((0, 0), (0, archive.genomes.shape[1] - genomes.shape[1])))

    def nearly_best_area(archive: Archive) -> jax.Array:
        finite = is_known(archive) & jnp.isfinite(archive.values.log_odds)
        seen = in_game("deletion" if removed else "preservation", archive.values)
        best = jnp.max(jnp.where(finite, seen.probability, -jnp.inf))
        return jnp.min(jnp.where(finite & (seen.probability >= NEARLY * best), seen.area, 1.0))

    sequential: Callable[..., jax.Array] = jax.custom_batching.sequential_vmap(propose)
    return sequential
