"""Designed masks: complementary pairs, then nested masks, without evolution. The control that a search must beat."""

import dataclasses

import jax
import jax.numpy as jnp

from xaijax.methods.attribution.control import Control
from xaijax.options import check_option


@dataclasses.dataclass(frozen=True, kw_only=True)
class DesignedMasks(Control):
    """Evaluates complementary pairs of varied density, ranks the segments, and evaluates prefixes of the ranking.

    The result is the fittest of all evaluated masks. It also has the options of `Control`, `SuperpixelBased` and
    `AttributionMethod`.

    Attributes:
        prefixes: nested masks to evaluate, evenly spread over area; at least 1 and at most `evaluations` - 5.
    """

    prefixes: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 1 <= self.prefixes <= self.evaluations - 5
        check_option("prefixes", fits, self.prefixes, "at least 1 and 5 below evaluations")

    @property
    def kept(self) -> int:
        """See `Control.kept`."""
        return self.prefixes

    def counts(self, pixels: jax.Array, last: jax.Array) -> jax.Array:
        """Returns the prefixes whose areas come next above evenly spaced ones; never the whole image."""
        step = pixels[-1].astype(jnp.float32) / (self.prefixes + 1)
        wanted = jnp.arange(1, self.prefixes + 1, dtype=jnp.float32) * step
        chosen = jnp.searchsorted(pixels.astype(jnp.float32), wanted).astype(jnp.int32)
        return pixels[jnp.minimum(chosen, last)]
