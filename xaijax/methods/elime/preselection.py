"""Predicts the quality of children before a forward pass is spent on them."""

import jax
import jax.numpy as jnp

from xaijax.fitness import Game, in_game
from xaijax.genetic.archive import Archive, is_known
from xaijax.genetic.bit_genome import unpack
from xaijax.methods.surrogate import SegmentPrior, predicted_log_odds
from xaijax.sequential import row_wise

LENGTH_SCALE = 2.0
"""Decay in log-odds: a mask this far below the front has weight 1/e in the fit."""


def expected_quality(
    archive: Archive, genomes: jax.Array, needed: jax.Array, layout: SegmentPrior, *, game: Game = "preservation"
) -> jax.Array:
    """Predicts by how much masks of one image would raise the front; see `xaijax.genetic.state.Preselection`.

    The log-odds are predicted by a ridge regression on the bits, in which masks near the front weigh most, because the
    children are near it.

    Args:
        archive: of `Response` values.
        genomes: `[N, W]` uint32.
        needed: `[]` bool; if False, nothing is computed.
        layout: the prior of the image's segments.
        game: whether the masks are to be kept or removed.

    Returns:
        `[N]` float32, the predicted log-odds minus those of the best known mask that is no larger, or minus those of
        the worst known mask if all are larger.

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

    return row_wise(above_front)(needed, archive, genomes, layout.sizes)


def _best_within(areas: jax.Array, log_odds: jax.Array, finite: jax.Array, bounds: jax.Array) -> jax.Array:
    """Returns the best log-odds `[N]` of masks `[E]` no larger than bounds `[N]`, or the worst if all are larger."""
    worst = jnp.min(jnp.where(finite, log_odds, jnp.inf))
    within = finite[None] & (areas[None] <= bounds[:, None] + 1e-6)
    return jnp.max(jnp.where(within, log_odds[None], worst), axis=1)
