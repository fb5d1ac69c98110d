"""A linear surrogate of the classifier over segments, from masks that were evaluated."""

import jax
import jax.numpy as jnp

from xaijax.fitness import Response
from xaijax.genetic.genome import unpack
from xaijax.masks import superpixels


def contributions(
    genomes: jax.Array, answers: Response, weight: jax.Array, sizes: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Fits what each segment adds to the log-odds, in all and for its extent.

    Args:
        genomes: `[E, W]` uint32, the masks that were evaluated.
        answers: `[E]`.
        weight: `[E]` float32, 0 for masks that do not count.
        sizes: `[S]` float32, the pixels of each segment, 0 past the last.

    Returns:
        `[S]` float32, the ridge coefficients, and these as `superpixels.area_density`.
    """
    coefficients = ridge(unpack(genomes, len(sizes)), answers.log_odds, weight, penalty=1.0)
    return coefficients, superpixels.area_density(coefficients, sizes)


def predicted_log_odds(genomes: jax.Array, answers: Response, weight: jax.Array, others: jax.Array) -> jax.Array:
    """Predicts the log-odds of masks that were not evaluated.

    Args:
        genomes: `[E, W]` uint32, the masks that were.
        answers: `[E]`.
        weight: `[E]` float32, 0 for masks that do not count.
        others: `[N, W]` uint32.

    Returns:
        `[N]` float32.
    """
    bits, asked = (unpack(masks, 32 * masks.shape[1]).astype(jnp.float32) for masks in (genomes, others))
    coefficients = ridge(bits, answers.log_odds, weight, penalty=1.0)
    total = jnp.maximum(jnp.sum(weight), 1e-12)
    mean = jnp.sum(jnp.where(weight > 0, weight * answers.log_odds, 0)) / total
    centre = jnp.matmul(weight, bits, precision=jax.lax.Precision.HIGHEST) / total
    return mean + jnp.matmul(asked - centre[None], coefficients, precision=jax.lax.Precision.HIGHEST)


def ridge(bits: jax.Array, response: jax.Array, weight: jax.Array, *, penalty: float) -> jax.Array:
    """Fits `response ~ intercept + bits @ coefficients` by weighted least squares with an L2 penalty.

    Args:
        bits: `[E, S]` bool.
        response: `[E]` float32; not read where the weight is 0.
        weight: `[E]` float32, at least 0.
        penalty: above 0, on the coefficients and not on the intercept.

    Returns:
        `[S]` float32, the coefficients; 0 where a bit never varies.

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
    gram = jnp.matmul(weighted.T, centred, precision=precision) + penalty * jnp.eye(x.shape[1], dtype=jnp.float32)
    moment = jnp.matmul(weighted.T, centred_response, precision=precision)
    factor = jax.scipy.linalg.cho_factor(gram, lower=True)
    return jax.scipy.linalg.cho_solve(factor, moment)
