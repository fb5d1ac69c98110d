"""Designed masks: complementary pairs, then nested masks, without evolution. The control that a search must beat."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.genetic.bit_genome import count_words, varied_density
from xaijax.methods.attribution.base import AttributionMethod
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import rank_segments
from xaijax.methods.pareto_front import pick_fittest
from xaijax.methods.superpixel_based import SuperpixelBased
from xaijax.methods.surrogate import contributions, segment_prior
from xaijax.options import check_option, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class DesignedMasks(SuperpixelBased, AttributionMethod):
    """Evaluates complementary pairs of varied density, ranks the segments, and evaluates prefixes of the ranking.

    A segment is ranked by its coefficient in a ridge regression on log-odds, divided by the square root of its area.
    The result is the fittest of all evaluated masks.

    It also has the options of `SuperpixelBased` and `AttributionMethod`.

    Attributes:
        prefixes: nested masks to evaluate, evenly spread over area; at least 1 and at most `evaluations` - 5.
        area_weight: weight of the area in the fitness, which is probability minus weighted area; at least 0.
    """

    evaluations: int = 240
    prefixes: int = 20
    area_weight: float = option(0.0, at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 1 <= self.prefixes <= self.evaluations - 5
        check_option("prefixes", fits, self.prefixes, "at least 1 and 5 below evaluations")

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        segmented = self.segment(classifier, batch)
        count = self.evaluations - 1 - self.prefixes
        draw = functools.partial(varied_density, count=count, words=count_words(self.max_segments))
        pick = functools.partial(pick_fittest, area_weight=self.area_weight)
        return Plan.of_segments(segmented, keys, draw, self._fit, active=batch.active, kept=self.prefixes, pick=pick)

    def _fit(self, segments: jax.Array, samples: Samples) -> Attribution:
        layout = segment_prior(segments, max_segments=self.max_segments)
        segment = contributions(samples.genomes, samples.responses, samples.weight > 0, layout)
        ranks, pixels = rank_segments(segment.density, segments)
        # The prefixes whose areas come next above evenly spaced ones; never the whole image.
        wanted = jnp.arange(1, self.prefixes + 1, dtype=jnp.float32) * (segments.size / (self.prefixes + 1))
        last = jnp.max(segments) - 1
        chosen = jnp.searchsorted(pixels.astype(jnp.float32), wanted).astype(jnp.int32)
        counts = pixels[jnp.minimum(chosen, last)]
        return Attribution(
            score=segment.density[segments],
            score_std=segment.std[segments],
            segment_score=segment.total,
            ranks=ranks,
            counts=counts,
            separated=segment.is_separated(layout.sizes),
        )
