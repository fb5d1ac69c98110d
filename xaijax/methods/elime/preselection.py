"""How much is to be expected of children before a forward pass is spent on them."""

import jax
import jax.numpy as jnp

from xaijax.fitness import Game, in_game
from xaijax.genetic.archive import Archive, is_known
from xaijax.genetic.bit_genome import unpack
from xaijax.methods.surrogate import SegmentPrior, predicted_log_odds
from xaijax.sequential import sequential_vmap

LENGTH_SCALE = 2.0
"""Log-odds below the best mask that is no larger, at which a mask counts 1/e in what is expected of others."""


def expected_quality(
    archive: Archive, genomes: jax.Array, needed: jax.Array, layout: SegmentPrior, *, game: Game = "preservation"
) -> jax.Array:
    """Predicts by how much masks of one image would raise the front; see `xaijax.genetic.state.Promise`.

    A ridge regression of the log-odds on the bits tells what a mask has; masks near the front count most in it, as the
    children are near it.

    Args:
        archive: of `Response` values.
        genomes: `[N, W]` uint32.
        needed: `[]` bool; where not, nothing is computed.
        layout: of the image's segments.
        game: what the masks are for.

    Returns:
        `[N]` float32, the log-odds predicted less those of the best known mask that is no larger; less those of the
        worst mask where none is as small.

    References:
        Jin, Surrogate-Assisted Evolutionary Computation: Recent Advances and Future Challenges (2011).
    """

    def above_front(archive: Archive, genomes: jax.Array, sizes: jax.Array) -> jax.Array:
        seen = in_game(game, archive.values)
        finite = is_known(archive) & jnp.isfinite(seen.log_odds)
        gap = jnp.where(finite, _best_within(seen.area, seen.log_odds, finite, seen.area) - seen.log_odds, jnp.inf)
        predicted = predicted_log_odds(archive.genomes, archive.values, jnp.exp(-gap / LENGTH_SCALE), genomes)
        bits = unpack(genomes, len(sizes)).astype(jnp.float32)
        area = jnp.matmul(bits, sizes, precision=jax.lax.Precision.HIGHEST) / jnp.maximum(jnp.sum(sizes), 1)
        if game == "deletion":
            predicted, area = -predicted, 1 - area
        return predicted - _best_within(seen.area, seen.log_odds, finite, area)

    return sequential_vmap(above_front)(needed, archive, genomes, layout.sizes)


def _best_within(areas: jax.Array, log_odds: jax.Array, finite: jax.Array, bounds: jax.Array) -> jax.Array:
    """Returns the best log-odds `[N]` of masks `[E]` that are no larger than bounds `[N]`; the worst where none is."""
    worst = jnp.min(jnp.where(finite, log_odds, jnp.inf))
    within = finite[None] & (areas[None] <= bounds[:, None] + 1e-6)
    return jnp.max(jnp.where(within, log_odds[None], worst), axis=1)
