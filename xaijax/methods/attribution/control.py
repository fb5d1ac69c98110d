"""The base of the controls: they evaluate distinct random masks, as many as a search may, and evolve none."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.genetic.archive import is_duplicate
from xaijax.genetic.bit_genome import count_words, enumerate_masks, repair, varied_density
from xaijax.methods.attribution.base import AttributionMethod
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import rank_segments
from xaijax.methods.pareto_front import pick_fittest
from xaijax.methods.superpixel_based import SuperpixelBased
from xaijax.methods.surrogate import contributions, segment_prior
from xaijax.options import option

REDRAWN = 3
"""How often a mask that repeats another is drawn again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Control(SuperpixelBased, AttributionMethod):
    """Evaluates distinct random masks of varied density, ranks the segments by them, and returns the fittest mask.

    A segment is ranked by its coefficient in a ridge regression on log-odds, divided by the square root of its area.
    Where an image has fewer masks than the evaluations allow, all of them are evaluated.

    Attributes:
        area_weight: weight of the area in the fitness, which is probability minus weighted area; at least 0.
    """

    evaluations: int = 240
    area_weight: float = option(0.0, at_least=0)

    @property
    def kept(self) -> int:
        """Masks to evaluate that follow from the ranking."""
        return 0

    def counts(self, pixels: jax.Array, last: jax.Array) -> jax.Array:
        """Returns the number of pixels that each mask after the ranking keeps, `[kept]` int32.

        Args:
            pixels: `[S]` int32, the pixels of the first segment of the ranking, of the first two, and so on.
            last: `[]` int32, index of the largest of them that is not the whole image.
        """
        return jnp.zeros((0,), jnp.int32)

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        segmented = self.segment(classifier, batch)
        count = self.evaluations - 1 - self.kept
        return Plan.of_segments(
            segmented,
            keys,
            functools.partial(distinct_masks, count=count, words=count_words(self.max_segments)),
            self._fit,
            active=batch.active,
            distinct=True,
            kept=self.kept,
            pick=functools.partial(pick_fittest, area_weight=self.area_weight),
        )

    def _fit(self, segments: jax.Array, samples: Samples) -> Attribution:
        layout = segment_prior(segments, max_segments=self.max_segments)
        segment = contributions(samples.genomes, samples.responses, samples.weight > 0, layout)
        ranks, pixels = rank_segments(segment.density, segments)
        return Attribution(
            score=segment.density[segments],
            score_std=segment.std[segments],
            segment_score=segment.total,
            ranks=ranks,
            counts=self.counts(pixels, jnp.max(segments) - 1),
            separated=segment.is_separated(layout.sizes),
        )


def distinct_masks(key: jax.Array, length: jax.Array, *, count: int, words: int) -> jax.Array:
    """Draws masks as a search over bits does: complementary pairs of varied density, none of them empty or whole.

    Masks that repeat others are drawn again, up to `REDRAWN` times. Where `count` allows all masks, they are
    enumerated, and the last one is repeated.

    Args:
        key: consumed.
        length: `[]` int32, genes in use, at least 2.
        count: masks to draw.
        words: words per genome.

    Returns:
        `[count, words]` uint32.
    """
    keys = threefry.split(key, 2 * (1 + REDRAWN))

    def draw(attempt: int) -> jax.Array:
        drawn = varied_density(keys[2 * attempt], length, count=count, words=words)
        return repair(keys[2 * attempt + 1], drawn, length)

    masks = draw(0)
    for attempt in range(1, 1 + REDRAWN):
        masks = jnp.where(is_duplicate(masks)[:, None], draw(attempt), masks)
    longest = (
        count + 2
    ).bit_length() - 1  # of which all masks, but the empty and the whole one, are no more than count
    return jnp.where(length <= longest, enumerate_masks(jnp.int32(0), length, count=count, words=words), masks)
