"""Children derived from the whole archive: nested masks that keep the segments of highest score so far."""

import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.fitness import Response, in_game
from xaijax.genetic.archive import Archive, is_known
from xaijax.genetic.bit_genome import complement, pack
from xaijax.methods.surrogate import SegmentPrior, contributions
from xaijax.pairwise import falling_ranks
from xaijax.sequential import row_wise

NEARLY = 0.9
"""Share of the highest probability from which a probability counts as nearly the highest."""


def nested_masks(
    key: jax.Array,
    archive: Archive,
    length: jax.Array,
    needed: jax.Array,
    layout: SegmentPrior,
    *,
    count: int,
    removed: bool = False,
) -> jax.Array:
    """Proposes masks of one image; see `xaijax.genetic.state.Guide`.

    Args:
        key: consumed.
        archive: of `Response` values.
        length: `[]` int32, segments in use.
        needed: `[]` bool; if False, nothing is computed and empty masks are returned.
        layout: the prior of the image's segments.
        count: masks to propose.
        removed: whether the masks are to be removed rather than kept; if so, their complements are returned.

    Returns:
        `[count, ceil(S / 32)]` uint32. Mask i keeps the segments of highest score up to an area drawn from the i-th of
        `count` equal parts of [0, 1]; it keeps at least one segment and never all. In every other mask, starting with
        the first, this area is scaled by that of the smallest known mask of nearly the highest probability, because
        larger masks teach little about what suffices.
    """

    def ranked_masks(key: jax.Array, archive: Archive, length: jax.Array, layout: SegmentPrior) -> jax.Array:
        finite = is_known(archive) & jnp.isfinite(archive.values.log_odds)
        density = contributions(archive.genomes, archive.values, finite, layout).density
        sizes = layout.sizes
        is_worth = (sizes > 0) & (density > -jnp.inf)  # nor is NaN
        rank = falling_ranks(jnp.where(is_worth, density, -jnp.inf))
        within = rank[None] <= rank[:, None]
        areas = jnp.sum(jnp.where(within, sizes[None], 0), axis=1) / jnp.maximum(jnp.sum(sizes), 1)
        wanted = (jnp.arange(count, dtype=jnp.float32) + threefry.uniform(key, count)) / count
        enough = _nearly_best_area(in_game("deletion" if removed else "preservation", archive.values), finite)
        wanted = jnp.where(jnp.arange(count) % 2 == 0, wanted * enough, wanted)
        smaller = jnp.sum(areas[None] < wanted[:, None], axis=1, dtype=jnp.int32)
        last = jnp.clip(smaller, 0, jnp.maximum(length - 2, 0))
        genomes = pack(rank[None] <= last[:, None])
        return jnp.pad(genomes, ((0, 0), (0, archive.genomes.shape[1] - genomes.shape[1])))

    masks = row_wise(ranked_masks)(needed, key, archive, length, layout)
    return complement(masks, length) if removed else masks


def _nearly_best_area(seen: Response, finite: jax.Array) -> jax.Array:
    best = jnp.max(jnp.where(finite, seen.probability, -jnp.inf))
    return jnp.min(jnp.where(finite & (seen.probability >= NEARLY * best), seen.area, 1.0))
