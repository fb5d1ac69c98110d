"""What a mask is worth: from logits to what the search maximises."""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier


@chex.dataclass(frozen=True)
class Response:
    """What the classifier answers to one masked image; leading axes for more."""

    log_odds: jax.Array  # [] float32, log(p / (1 - p)) of the explained class; NaN where the logits are not finite
    area: jax.Array  # [] float32, kept pixels / all pixels
    predicted: jax.Array  # [] int32, the class that the classifier names

    @property
    def probability(self) -> jax.Array:
        """Probability of the explained class, in [0, 1]."""
        return jax.nn.sigmoid(self.log_odds)


_SHAPES: Any = {
    "log_odds": jax.ShapeDtypeStruct((), jnp.float32),
    "area": jax.ShapeDtypeStruct((), jnp.float32),
    "predicted": jax.ShapeDtypeStruct((), jnp.int32),
}
RESPONSE = Response(**_SHAPES)
"""The shapes of a `Response`, for an archive."""


def respond(classifier: Classifier, logits: jax.Array, targets: jax.Array, areas: jax.Array) -> Response:
    """Reads the classifier's answer off its logits.

    Args:
        classifier: whose `activation` says what the logits mean.
        logits: `[N, K]` float32.
        targets: `[N]` int32, the class explained; -1 for the predicted one.
        areas: `[N]` float32, passed on.
    """
    is_binary = classifier.activation == "sigmoid" and logits.shape[1] == 1
    logits = class_logits(classifier, logits)
    predicted = jnp.argmax(logits, axis=1).astype(jnp.int32)
    targets = jnp.where(targets < 0, predicted, targets)
    chosen = jax.nn.one_hot(targets, logits.shape[1], dtype=jnp.bool_)
    logit = jnp.sum(jnp.where(chosen, logits, 0), axis=1)
    if classifier.activation == "softmax" or is_binary:
        log_odds = logit - jax.nn.logsumexp(jnp.where(chosen, -jnp.inf, logits), axis=1)
    else:
        log_odds = logit
    finite = jnp.all(jnp.isfinite(logits), axis=1)
    return Response(log_odds=jnp.where(finite, log_odds, jnp.nan), area=areas, predicted=predicted)


def class_logits(classifier: Classifier, logits: jax.Array) -> jax.Array:
    """Returns a logit a class: of one sigmoid logit `[N, 1]` the two whose softmax it is, others as they are."""
    if classifier.activation == "sigmoid" and logits.shape[1] == 1:
        return jnp.concatenate([-logits, logits], axis=1) / 2
    return logits


def penalised_probability(response: Response, *, area_weight: float) -> jax.Array:
    """Returns probability minus `area_weight` times area: the fitness of E-LIME.

    References:
        arXiv 2211.15143.
    """
    return response.probability - jnp.float32(area_weight) * response.area


def probability_and_area(response: Response) -> jax.Array:
    """Returns the two objectives of a front, `[..., 2]`, higher is better: the probability, and less area."""
    return jnp.stack([response.probability, -response.area], axis=-1)


def is_probable(response: Response, *, least: float) -> jax.Array:
    """Returns whether the probability is at least `least`."""
    return response.probability >= jnp.float32(least)
