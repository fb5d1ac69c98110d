"""Random search: E-LIME without evolution, for the same number of evaluations. A control."""

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
from xaijax.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSearch(SuperpixelBased, AttributionMethod):
    """Evaluates random masks of varied density, like those of E-LIME's first population, and returns the fittest.

    It also has the options of `SuperpixelBased` and `AttributionMethod`.

    Attributes:
        area_weight: weight of the area in the fitness, which is probability minus weighted area; at least 0.
    """

    evaluations: int = 240
    area_weight: float = option(0.0, at_least=0)

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        segmented = self.segment(classifier, batch)
        draw = functools.partial(varied_density, count=self.evaluations - 1, words=count_words(self.max_segments))
        pick = functools.partial(pick_fittest, area_weight=self.area_weight)
        return Plan.of_segments(segmented, keys, draw, self._fit, active=batch.active, kept=0, pick=pick)

    def _fit(self, segments: jax.Array, samples: Samples) -> Attribution:
        layout = segment_prior(segments, max_segments=self.max_segments)
        segment = contributions(samples.genomes, samples.responses, samples.weight > 0, layout)
        return Attribution(
            score=segment.density[segments],
            score_std=segment.std[segments],
            segment_score=segment.total,
            ranks=rank_segments(segment.density, segments)[0],
            counts=jnp.zeros((0,), jnp.int32),
            separated=segment.is_separated(layout.sizes),
        )
