"""A linear surrogate of the classifier over segments, fitted to evaluated masks."""

import chex
import jax
import jax.numpy as jnp

from xaijax.fitness import Response
from xaijax.genetic.bit_genome import unpack
from xaijax.masks import superpixels

PENALTY = 10.0
"""Penalty of the ridge regression that ranks segments. It is high because there are few masks for the number of
segments, and because log-odds are only roughly a sum over segments."""

CORRELATION_LENGTH = 0.1
"""Distance between the centres of two segments, as a share of the image's longer side, over which they act alike."""

ALIKE = 0.5
"""Share of the prior variance of a segment's contribution that it has in common with nearby segments."""

LARGE = 0.3
"""Weight, in a segment's contribution, of the fit to large masks, which show what is lost when it is removed."""

PROXIMITY = 3.0
"""Extra weight of a mask of all pixels over an empty one. As in LIME, masks near the whole image weigh most; otherwise
the many small masks that evolution leaves would outweigh those that show what a removal does."""

CALIBRATION = 0.85
"""Factor of the posterior's standard deviations after which 90% intervals hold what the same fit to 1,000 fresh
designed masks gives, in about 90% of segments."""

SEPARATED = 2.5
"""Standard deviations of a difference by which the first segment exceeds the middle one of a ranking that is not left
to chance: of 60 equal segments the first does so in one case of fifty."""


@chex.dataclass(frozen=True)
class SegmentPrior:
    """The prior of a surrogate over the segments of one image; leading axes for more."""

    sizes: jax.Array  # [S] float32, pixels, 0 past the last segment
    precision: jax.Array  # [S, S] float32, inverse of the prior correlation of contributions


def segment_prior(segments: jax.Array, *, max_segments: int) -> SegmentPrior:
    """Returns the prior of a label map: nearby segments tend to act alike, as they often belong to the same object.

    Args:
        segments: `[H, W]` int32 in [0, max_segments).
        max_segments: S.

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 2: linear regression under a
        Gaussian prior.
    """
    sizes = superpixels.segment_sizes(segments, max_segments=max_segments)
    centres = superpixels.segment_centres(segments, max_segments=max_segments) / max(segments.shape)
    squared = jnp.sum((centres[:, None] - centres[None]) ** 2, axis=2)
    used = sizes > 0
    common = jnp.where(used[:, None] & used[None], jnp.exp(-squared / (2 * CORRELATION_LENGTH**2)), 0)
    alone = jnp.where(used, 1 - ALIKE, 1)
    factor = jax.scipy.linalg.cho_factor(ALIKE * common + jnp.diag(alone), lower=True)
    return SegmentPrior(
        sizes=sizes, precision=jax.scipy.linalg.cho_solve(factor, jnp.eye(max_segments, dtype=jnp.float32))
    )


@chex.dataclass(frozen=True)
class Contributions:
    """What the segments of one image contribute to the log-odds."""

    total: jax.Array  # [S] float32
    density: jax.Array  # [S] float32, the same per area, see `superpixels.area_density`
    std: jax.Array  # [S] float32, standard deviation of the density

    def is_separated(self, sizes: jax.Array) -> jax.Array:
        """Whether the first segment of the ranking is told apart from the middle one, `[]` bool; `sizes` `[S]`."""
        used = sizes > 0
        order = jnp.argsort(jnp.where(used, -self.density, jnp.inf), stable=True)
        first, middle = order[0], order[jnp.sum(used, dtype=jnp.int32) // 2]
        spread = jnp.sqrt(self.std[first] ** 2 + self.std[middle] ** 2)
        return self.density[first] - self.density[middle] > SEPARATED * spread


def contributions(genomes: jax.Array, responses: Response, known: jax.Array, layout: SegmentPrior) -> Contributions:
    """Fits how much each segment contributes to the log-odds.

    What a segment adds to a few others differs from what its removal takes from the whole image, so a single fit to all
    masks estimates neither well. Two fits are mixed: one to all masks, and one to the masks that keep at least half of
    the image, rescaled to the norm of the first. The standard deviations of the two are added up, as they share masks.

    Args:
        genomes: `[E, W]` uint32, the evaluated masks.
        responses: `[E]`.
        known: `[E]` bool, the masks to fit.
        layout: the prior of the image's segments.

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 2, for the posterior.
    """
    bits = unpack(genomes, len(layout.sizes))
    penalty = PENALTY * layout.precision
    area = jnp.where(known, responses.area, 0)
    every = _fit(bits, responses.log_odds, jnp.where(known, 1 + PROXIMITY * area, 0), penalty=penalty)
    large = _fit(bits, responses.log_odds, (known & (area >= 0.5)).astype(jnp.float32), penalty=penalty)
    length = jnp.linalg.norm(large.coefficients)

    def mixed(of_every: jax.Array, of_large: jax.Array) -> jax.Array:
        scaled = of_large * jnp.linalg.norm(every.coefficients) / jnp.maximum(length, 1e-12)
        return (1 - LARGE) * of_every + LARGE * jnp.where(length > 0, scaled, of_every)

    total = mixed(every.coefficients, large.coefficients)
    density = superpixels.area_density(total, layout.sizes)
    std = CALIBRATION * superpixels.area_density(mixed(every.std, large.std), layout.sizes)
    return Contributions(total=total, density=density, std=jnp.where(layout.sizes > 0, std, 0))


def predicted_log_odds(genomes: jax.Array, responses: Response, weight: jax.Array, others: jax.Array) -> jax.Array:
    """Predicts the log-odds of masks that were not evaluated.

    Args:
        genomes: `[E, W]` uint32, the evaluated masks.
        responses: `[E]`.
        weight: `[E]` float32, weight of each in the fit; 0 leaves a mask out.
        others: `[N, W]` uint32, the masks to predict.

    Returns:
        `[N]` float32.
    """
    bits, unknown = (unpack(masks, 32 * masks.shape[1]).astype(jnp.float32) for masks in (genomes, others))
    coefficients = ridge(bits, responses.log_odds, weight, penalty=1.0)
    total = jnp.maximum(jnp.sum(weight), 1e-12)
    mean = jnp.sum(jnp.where(weight > 0, weight * responses.log_odds, 0)) / total
    centre = jnp.matmul(weight, bits, precision=jax.lax.Precision.HIGHEST) / total
    return mean + jnp.matmul(unknown - centre[None], coefficients, precision=jax.lax.Precision.HIGHEST)


@chex.dataclass(frozen=True)
class _Fit:
    """A fitted regression."""

    coefficients: jax.Array  # [S] float32
    std: jax.Array  # [S] float32, the posterior's standard deviations


def ridge(bits: jax.Array, response: jax.Array, weight: jax.Array, *, penalty: float | jax.Array) -> jax.Array:
    """Fits `response ~ intercept + bits @ coefficients` by weighted least squares with a quadratic penalty.

    Args:
        bits: `[E, S]` bool.
        response: `[E]` float32; not read where the weight is 0.
        weight: `[E]` float32, at least 0.
        penalty: above 0, on the squares of the coefficients and not on the intercept; or a matrix `[S, S]` float32,
            positive definite, on their products.

    Returns:
        `[S]` float32, the coefficients; 0 for a bit that never varies, unless the penalty ties it to others.

    References:
        Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems (1970).
    """
    return _fit(bits, response, weight, penalty=penalty).coefficients


def _fit(bits: jax.Array, response: jax.Array, weight: jax.Array, *, penalty: float | jax.Array) -> _Fit:
    """Fits as `ridge` does, and gives the posterior's standard deviations.

    The penalty is the prior's precision, and the weights are precisions, in units of the noise's variance, which is
    estimated from what is left of the response and of the prior.
    """
    precision = jax.lax.Precision.HIGHEST
    x = bits.astype(jnp.float32)
    response = jnp.where(weight > 0, response, 0)
    total = jnp.maximum(jnp.sum(weight), 1e-12)
    centred = x - jnp.matmul(weight, x, precision=precision)[None] / total
    centred_response = response - jnp.sum(weight * response) / total
    weighted = centred * weight[:, None]
    if isinstance(penalty, float):
        penalty = penalty * jnp.eye(x.shape[1], dtype=jnp.float32)
    gram = jnp.matmul(weighted.T, centred, precision=precision) + penalty
    moment = jnp.matmul(weighted.T, centred_response, precision=precision)
    factor = jax.scipy.linalg.cho_factor(gram, lower=True)
    coefficients = jax.scipy.linalg.cho_solve(factor, moment)
    left = jnp.sum(weight * centred_response**2) - jnp.matmul(moment, coefficients, precision=precision)
    variance = jnp.maximum(left, 0) / jnp.maximum(jnp.sum(weight > 0, dtype=jnp.float32) - 1, 1)
    covariance = jax.scipy.linalg.cho_solve(factor, jnp.eye(x.shape[1], dtype=jnp.float32))
    return _Fit(coefficients=coefficients, std=jnp.sqrt(variance * jnp.diag(covariance)))
