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


def contributions(
    genomes: jax.Array, responses: Response, known: jax.Array, layout: SegmentPrior
) -> tuple[jax.Array, jax.Array]:
    """Fits how much each segment contributes to the log-odds, in total and as a density.

    What a segment adds to a few others differs from what its removal takes from the whole image, so a single fit to all
    masks estimates neither well. Two fits are mixed: one to all masks, and one to the masks that keep at least half of
    the image, rescaled to the norm of the first.

    Args:
        genomes: `[E, W]` uint32, the evaluated masks.
        responses: `[E]`.
        known: `[E]` bool, the masks to fit.
        layout: the prior of the image's segments.

    Returns:
        `[S]` float32, the contribution of each segment, and the same as a density (`superpixels.area_density`).
    """
    bits = unpack(genomes, len(layout.sizes))
    penalty = PENALTY * layout.precision
    area = jnp.where(known, responses.area, 0)
    every = ridge(bits, responses.log_odds, jnp.where(known, 1 + PROXIMITY * area, 0), penalty=penalty)
    large = ridge(bits, responses.log_odds, (known & (area >= 0.5)).astype(jnp.float32), penalty=penalty)
    length = jnp.linalg.norm(large)
    scaled = jnp.where(length > 0, large * jnp.linalg.norm(every) / jnp.maximum(length, 1e-12), every)
    coefficients = (1 - LARGE) * every + LARGE * scaled
    return coefficients, superpixels.area_density(coefficients, layout.sizes)


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
    return jax.scipy.linalg.cho_solve(factor, moment)
