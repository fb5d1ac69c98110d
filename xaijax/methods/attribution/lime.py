"""LIME: a linear model of the class probability over superpixels, fitted near the whole image."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.genetic.bit_genome import count_words, draw_halves, unpack
from xaijax.masks.fills import Fill
from xaijax.methods.attribution.base import FixedArea
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import keep_segments
from xaijax.methods.superpixel_based import SuperpixelBased
from xaijax.methods.surrogate import ridge
from xaijax.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class LIME(SuperpixelBased, FixedArea):
    """Keeps each superpixel with probability 1/2, and fits the class probability by a ridge regression on the bits.

    It also has the options of `SuperpixelBased` and `FixedArea`.

    Attributes:
        kernel_width: width of the kernel that weights samples by their cosine distance from the whole image, above 0.
        penalty: penalty of the ridge regression, above 0.

    References:
        Ribeiro, Singh and Guestrin, "Why Should I Trust You?" (2016), arXiv 1602.04938.
    """

    fill: Fill = "segment-mean"
    kernel_width: float = option(0.25, above=0)
    penalty: float = option(1.0, above=0)

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        segmented = self.segment(classifier, batch)
        draw = functools.partial(draw_halves, count=self.evaluations - 2, words=count_words(self.max_segments))
        return Plan.of_segments(segmented, keys, draw, self._fit, active=batch.active)

    def _fit(self, segments: jax.Array, samples: Samples) -> Attribution:
        bits = unpack(samples.genomes, self.max_segments)
        length = jnp.max(segments) + 1
        kept = jnp.sum(bits, axis=1).astype(jnp.float32)
        weight = samples.weight * proximity(kept, length.astype(jnp.float32), width=self.kernel_width)
        # The whole image is also a sample, at distance 0.
        bits = jnp.concatenate([(jnp.arange(self.max_segments) < length)[None], bits])
        weight = jnp.concatenate([jnp.ones((1,), jnp.float32), weight])
        response = jnp.concatenate([samples.whole.probability[None], samples.responses.probability])
        coefficients = ridge(bits, response, weight, penalty=self.penalty)
        return keep_segments(coefficients, segments, self.area)


def proximity(kept: jax.Array, length: jax.Array, *, width: float) -> jax.Array:
    """Returns the weight of samples that keep `kept` of `length` segments, in [0, 1].

    It is the square root of exp(-d^2 / width^2), where d is the cosine distance between the sample's bits and all ones.
    """
    distance = 1 - jnp.sqrt(kept / length)
    return jnp.sqrt(jnp.exp(-(distance**2) / width**2))
