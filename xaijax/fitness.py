"""Fitness: from the classifier's logits on a masked image to what the search maximises."""

import dataclasses
import math
from typing import Any, Literal

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier


@chex.dataclass(frozen=True)
class Response:
    """The classifier's response to one masked image; leading axes for more."""

    log_odds: jax.Array  # [] float32, log(p / (1 - p)) of the class explained, or log(p / q) against a class of
    # probability q; NaN where the logits are not finite
    area: jax.Array  # [] float32, kept pixels / all pixels
    predicted: jax.Array  # [] int32, the predicted class

    @property
    def probability(self) -> jax.Array:
        """Probability of the explained class, in [0, 1]; its share p / (p + q) against a class of probability q."""
        return jax.nn.sigmoid(self.log_odds)


@chex.dataclass(frozen=True)
class Targets:
    """The class to explain and the class to contrast it with; leading axes for more."""

    explained: jax.Array  # [] int32, the class to explain; -1 for the predicted one
    against: jax.Array  # [] int32, the class to contrast it with; -1 for all others

    @classmethod
    def of(cls, explained: Any) -> "Targets":
        """Contrasts classes with all others."""
        return cls(explained=explained, against=jnp.full_like(explained, -1))

    def resolved(self, predicted: jax.Array) -> "Targets":
        """Replaces -1, the predicted class, by the classes `predicted`."""
        return dataclasses.replace(self, explained=jnp.where(self.explained < 0, predicted, self.explained))


_SHAPES: Any = {
    "log_odds": jax.ShapeDtypeStruct((), jnp.float32),
    "area": jax.ShapeDtypeStruct((), jnp.float32),
    "predicted": jax.ShapeDtypeStruct((), jnp.int32),
}
RESPONSE = Response(**_SHAPES)
"""The shapes and dtypes of a `Response`, for an archive."""


def respond(classifier: Classifier, logits: jax.Array, targets: Targets, areas: jax.Array) -> Response:
    """Computes the classifier's response from its logits.

    Args:
        classifier: its `activation` defines what the logits mean.
        logits: `[N, K]` float32.
        targets: `[N]`, the classes to explain.
        areas: `[N]` float32, copied into the response.
    """
    excludes_others = classifier.activation == "softmax" or logits.shape[1] == 1
    logits = class_logits(classifier, logits)
    predicted = jnp.argmax(logits, axis=1).astype(jnp.int32)
    classes = logits.shape[1]
    if classes != classifier.num_classes:
        raise ValueError(
            f"the classifier returned {classes} logits per image but num_classes is {classifier.num_classes}; set "
            "num_classes to the number of logits."
        )
    chosen = jax.nn.one_hot(targets.resolved(predicted).explained, classes, dtype=jnp.bool_)
    other = jax.nn.one_hot(targets.against, classes, dtype=jnp.bool_)  # none for -1
    logit = jnp.sum(jnp.where(chosen, logits, 0), axis=1)
    if excludes_others:
        rest = jnp.where((targets.against < 0)[:, None], ~chosen, other)
        log_odds = logit - jax.nn.logsumexp(jnp.where(rest, logits, -jnp.inf), axis=1)
    else:
        rival = jnp.sum(jnp.where(other, logits, 0), axis=1)
        log_odds = jnp.where(targets.against < 0, logit, jax.nn.log_sigmoid(logit) - jax.nn.log_sigmoid(rival))
    finite = jnp.all(jnp.isfinite(logits), axis=1)
    return Response(log_odds=jnp.where(finite, log_odds, jnp.nan), area=areas, predicted=predicted)


def class_logits(classifier: Classifier, logits: jax.Array) -> jax.Array:
    """Returns one logit per class: a single sigmoid logit `[N, 1]` becomes two of the same softmax, others are kept."""
    if classifier.activation == "sigmoid" and logits.shape[1] == 1:
        return jnp.concatenate([-logits, logits], axis=1) / 2
    return logits


LEAST_SHARE = 2**-24
"""The lowest share of a probability that is told from none, and the lowest lack of one that is told from 1."""


def log_odds_of_share(log_odds: jax.Array, share: float) -> jax.Array:
    """Returns the log-odds of `share` times the probability that has `log_odds`, exact where that underflows.

    Args:
        log_odds: `[...]` float32.
        share: 0 to 1.
    """
    of_share = math.log(share) if share > 0 else -math.inf
    of_rest = math.log1p(-share) if share < 1 else -math.inf
    return log_odds + jnp.float32(of_share) - jax.nn.softplus(log_odds + jnp.float32(of_rest))


def log_odds_of(probability: float) -> float:
    """Returns the log-odds of a probability above 0; of 1 those of the highest that is told from it."""
    probability = min(probability, 1 - LEAST_SHARE)
    return math.log(probability) - math.log1p(-probability)


Game = Literal["preservation", "deletion", "both"]
"""What a mask must do: preserve the class when all else is removed, destroy it when its own pixels are removed, or
both."""


def in_game(game: Game, response: Response) -> Response:
    """Converts the response to a masked image into that of the mask that the game searches for.

    In the deletion game that is the mask of the removed pixels: its probability is that of losing the class, its area
    that of the removed pixels. Where a mask must do both, it is that of the kept pixels.

    References:
        Fong and Vedaldi, Interpretable Explanations of Black Boxes by Meaningful Perturbation (2017), arXiv 1704.03296.
    """
    if game != "deletion":
        return response
    return dataclasses.replace(response, log_odds=-response.log_odds, area=1 - response.area)


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
