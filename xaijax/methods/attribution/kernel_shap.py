"""KernelSHAP: Shapley values of the superpixels, as a weighted least-squares problem over coalitions."""

import dataclasses

import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.genetic.bit_genome import count_words, enumerate_masks, pack, unpack, with_complements
from xaijax.masks.fills import Fill
from xaijax.methods.attribution.base import FixedArea
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import keep_segments
from xaijax.methods.superpixel_based import SuperpixelBased


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelSHAP(SuperpixelBased, FixedArea):
    """Estimates how much each superpixel adds to the probability, on average over all orders of adding them.

    Coalitions are drawn in complementary pairs whose sizes follow the Shapley kernel. If all coalitions fit into the
    evaluations, they are enumerated and the values are exact. The values add up to the probability of the whole image
    minus that of the fill.

    It also has the options of `SuperpixelBased` and `FixedArea`.

    References:
        Lundberg and Lee, A Unified Approach to Interpreting Model Predictions (2017), arXiv 1705.07874.
        Covert and Lee, Improving KernelSHAP (2021), arXiv 2012.01536.
    """

    fill: Fill = "segment-mean"

    @property
    def enumerated(self) -> int:
        """The highest number of segments of which all coalitions are evaluated."""
        return min(24, (self.evaluations - 1).bit_length() - 1)

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        segmented = self.segment(classifier, batch)
        return Plan.of_segments(segmented, keys, self._draw, self._fit, active=batch.active)

    def _draw(self, key: jax.Array, length: jax.Array) -> jax.Array:
        """Returns `[evaluations - 2, W]`: the empty coalition, then others."""
        size = {"count": self.evaluations - 3, "words": count_words(self.max_segments)}
        drawn = draw_coalitions(key, length, max_segments=self.max_segments, **size)
        counted = enumerate_masks(jnp.int32(0), length, **size)
        coalitions = jnp.where(length <= self.enumerated, counted, drawn)
        return jnp.concatenate([jnp.zeros_like(coalitions[:1]), coalitions])

    def _fit(self, segments: jax.Array, samples: Samples) -> Attribution:
        bits = unpack(samples.genomes[1:], self.max_segments)
        length = jnp.max(segments) + 1
        number = jnp.arange(bits.shape[0], dtype=jnp.int32)
        # Past its end the enumeration repeats the last coalition.
        fresh = number < jnp.left_shift(jnp.int32(1), jnp.clip(length, 1, 30)) - 2
        exact = jnp.where(fresh, shapley_kernel(jnp.sum(bits, axis=1), length), 0)
        weight = samples.weight[1:] * jnp.where(length <= self.enumerated, exact, 1.0)
        probability = samples.responses.probability
        values = shapley_values(
            bits, probability[1:], weight, length, whole=samples.whole.probability, empty=probability[0]
        )
        return keep_segments(values, segments, self.area)


def draw_coalitions(key: jax.Array, length: jax.Array, *, max_segments: int, count: int, words: int) -> jax.Array:
    """Draws coalitions in complementary pairs whose sizes follow the Shapley kernel.

    The first coalitions do not depend on `count`.

    Args:
        key: consumed.
        length: `[]` int32, players, at least 2 and at most `max_segments`.
        max_segments: maximum number of players.
        count: coalitions to draw.
        words: 32-bit words per genome.

    Returns:
        `[count, words]` uint32.
    """
    pairs = -(-count // 2)
    size_key, member_key = threefry.split(key)
    players = length.astype(jnp.float32)
    sizes = jnp.arange(1, max_segments, dtype=jnp.float32)
    mass = jnp.where(sizes < players, 1 / (sizes * jnp.maximum(players - sizes, 1)), 0)
    share = jnp.cumsum(mass) / jnp.sum(mass)
    size = 1 + jnp.sum(threefry.uniform(size_key, pairs)[:, None] > share[None], axis=1, dtype=jnp.int32)
    luck = threefry.uniform(member_key, pairs * max_segments).reshape(pairs, -1)
    luck = jnp.where((jnp.arange(max_segments) < length)[None], luck, 2.0)
    rank = jnp.argsort(jnp.argsort(luck, axis=1), axis=1)
    members = pack(rank < jnp.minimum(size, length - 1)[:, None])
    return with_complements(members, length)[:count]


def shapley_kernel(size: jax.Array, length: jax.Array) -> jax.Array:
    """Returns the Shapley kernel's weight of a coalition of `size` of `length` players, `1 <= size < length`."""
    players, members = length.astype(jnp.float32), size.astype(jnp.float32)
    log_choose = jax.lax.lgamma(players + 1) - jax.lax.lgamma(members + 1) - jax.lax.lgamma(players - members + 1)
    return (players - 1) / (jnp.exp(log_choose) * members * (players - members))


def shapley_values(
    bits: jax.Array, response: jax.Array, weight: jax.Array, length: jax.Array, *, whole: jax.Array, empty: jax.Array
) -> jax.Array:
    """Solves KernelSHAP's weighted least-squares problem.

    Args:
        bits: `[N, S]` bool, coalitions.
        response: `[N]` float32, the worth of each coalition; not read where its weight is 0.
        weight: `[N]` float32.
        length: `[]` int32, number of players; the values of the rest of S are 0.
        whole: `[]` float32, the worth of all players together.
        empty: `[]` float32, the worth of the empty coalition.

    Returns:
        `[S]` float32 that add up to `whole - empty`.
    """
    precision = jax.lax.Precision.HIGHEST
    plays = jnp.arange(bits.shape[1]) < length
    x = bits.astype(jnp.float32)
    samples = weight > 0
    weight = weight / jnp.maximum(jnp.sum(weight), 1e-12)
    gain = jnp.where(samples, response, empty) - empty
    gram = jnp.matmul(x.T, x * weight[:, None], precision=precision)
    # A ridge makes the solution unique where there are too few coalitions for the players; it must exceed the rounding.
    is_sparse = jnp.sum(samples, dtype=jnp.int32) < 2 * length
    gram += jnp.diag(jnp.where(plays, jnp.where(is_sparse, 1e-4, 1e-6), 1.0).astype(jnp.float32))
    sides = jnp.stack([jnp.matmul(weight * gain, x, precision=precision), plays.astype(jnp.float32)], axis=1)
    factor = jax.scipy.linalg.cho_factor(gram, lower=True)
    free, constraint = jax.scipy.linalg.cho_solve(factor, sides).T
    excess = (jnp.sum(free) - (whole - empty)) / jnp.sum(constraint)
    return jnp.where(plays, free - excess * constraint, 0)
