"""The measurements and the fitness of Evolving Binary Masks: whether the classifier still recognises the class.

References:
    rudra-99/XAI-Evolving-Binary-Masks, its text and notebook.
"""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier, to_unit_range
from xaijax.fitness import RESPONSE, Response, Targets, class_logits, log_odds_of_share, respond
from xaijax.micro_batches import Readout, Scenario, View, Views, never
from xaijax.sequential import map_groups

SPREAD = 20.0
"""The range to which logits are scaled for the normalised confidence."""

GROUP = 4  # originals per forward pass


@chex.dataclass(frozen=True)
class Recognition:
    """The measurements of one masked image; leading axes for more."""

    response: Response
    is_class: jax.Array  # [] bool, whether the classifier names the class explained
    is_kept: jax.Array  # [] bool, whether it does so with enough probability
    distance: jax.Array  # [] float32, of the activations from the original's; without taps 1 - probability
    confidence: jax.Array  # [] float32, of the class, the softmax of logits scaled to [0, 20]


@chex.dataclass(frozen=True)
class UnderFills:
    """How a mask does under each of several fills; leading axes for more."""

    log_odds: jax.Array  # [F] float32, NaN where it was not looked at
    passes: jax.Array  # [] int32, forward passes on the mask and its inverse


@chex.dataclass(frozen=True)
class BothSides:
    """What is read off an image masked by a mask, and by its inverse; leading axes for more."""

    mask: Recognition
    inverse: Recognition  # zeros where it was not looked at
    is_inverted: jax.Array  # [] bool, whether it was
    under_fills: UnderFills | None = None  # where there are several fills


@chex.dataclass(frozen=True)
class Original:
    """The original that masked images are compared with; leading axes for more."""

    activations: dict[str, jax.Array]  # of the taps
    power: dict[str, jax.Array]  # [] float32, what squared differences at each tap are divided by


_SHAPES: Any = {
    "response": RESPONSE,
    "is_class": jax.ShapeDtypeStruct((), jnp.bool_),
    "is_kept": jax.ShapeDtypeStruct((), jnp.bool_),
    "distance": jax.ShapeDtypeStruct((), jnp.float32),
    "confidence": jax.ShapeDtypeStruct((), jnp.float32),
}
RECOGNITION = Recognition(**_SHAPES)
"""The shapes of a `Recognition`, for an archive."""


def both_sides_shapes(fills: int) -> BothSides:
    """Returns the shapes of the recognition of a mask and of its inverse, for an archive."""
    shapes: Any = {"mask": RECOGNITION, "inverse": RECOGNITION, "is_inverted": jax.ShapeDtypeStruct((), jnp.bool_)}
    if fills == 1:
        return BothSides(**shapes)
    of_fills: Any = {
        "log_odds": jax.ShapeDtypeStruct((fills,), jnp.float32),
        "passes": jax.ShapeDtypeStruct((), jnp.int32),
    }
    return BothSides(**shapes, under_fills=UnderFills(**of_fills))


@functools.cache  # the same object again, as a partial function equals only itself: programs are found by their readout
def recognition_readout(taps: tuple[str, ...], *, keep: float, inverse: bool, fills: int = 1) -> Readout:
    """Returns which measurements to take of a mask, under one fill after the other while it keeps the class.

    If `inverse`, then also of the inverse of a mask that keeps the class under all of them, while it loses the class.

    Args:
        taps: names of the activations to compare; without any, the probability is compared.
        keep: share of the whole image's probability that is enough, 0 to 1.
        inverse: whether inverses are evaluated.
        fills: how many fills there are.
    """
    goes_on = is_kept_mask if inverse else never
    if fills > 1:
        goes_on = functools.partial(_goes_on, fills=fills, inverse=inverse)
    views = tuple(View(is_inverse=side, fill=fill) for side in (False, True) for fill in range(fills))
    return Readout(
        read=functools.partial(recognise, keep=keep), values=RECOGNITION, taps=taps, views=views, goes_on=goes_on
    )


def is_kept_mask(recognition: Recognition, view: jax.Array) -> jax.Array:
    """Returns whether a mask that leaves something out keeps the class."""
    return recognition.is_kept & (recognition.response.area < 1)


def _goes_on(recognition: Recognition, view: jax.Array, *, fills: int, inverse: bool) -> jax.Array:
    kept = is_kept_mask(recognition, view) & (inverse | (view < fills - 1))
    return jnp.where(view < fills, kept, ~recognition.is_class)


def both_sides(views: Views) -> BothSides:
    """Sums up the views of masks by the two sides: each counts as under the fill where it does worst.

    A mask keeps the class if it does so under all fills; an inverse still shows it if it does so under any.
    """
    fills = len(views.values) // 2
    if fills == 1:
        mask, inverse = views.values
        return BothSides(mask=mask, inverse=inverse, is_inverted=views.is_seen[1])
    masks: tuple[Recognition, ...] = views.values[:fills]
    inverses: tuple[Recognition, ...] = views.values[fills:]
    mask, inverse = masks[0], inverses[0]
    for other, is_seen in zip(masks[1:], views.is_seen[1:fills], strict=True):
        mask = _worse(mask, other, is_seen, lowest=True)
    for other, is_seen in zip(inverses[1:], views.is_seen[fills + 1 :], strict=True):
        inverse = _worse(inverse, other, is_seen, lowest=False)
    is_whole = mask.response.area == 1
    log_odds = [
        jnp.where(seen, each.response.log_odds, jnp.nan)
        for each, seen in zip(masks, views.is_seen[:fills], strict=True)
    ]
    return BothSides(
        mask=dataclasses.replace(mask, is_kept=mask.is_kept & (views.is_seen[fills - 1] | is_whole)),
        inverse=inverse,
        is_inverted=views.is_seen[fills],
        under_fills=UnderFills(
            log_odds=jnp.stack(log_odds, axis=-1),
            passes=jnp.sum(jnp.stack(views.is_seen, axis=-1), axis=-1, dtype=jnp.int32),
        ),
    )


def _worse(one: Recognition, other: Recognition, is_seen: jax.Array, *, lowest: bool) -> Recognition:
    """Returns of two views of masks, the second of which may not exist, what holds of both or of either."""
    one_odds, other_odds = one.response.log_odds, other.response.log_odds
    odds = jnp.minimum(one_odds, other_odds) if lowest else jnp.maximum(one_odds, other_odds)
    is_class = one.is_class & other.is_class if lowest else one.is_class | other.is_class
    both = Recognition(
        response=dataclasses.replace(one.response, log_odds=odds),
        is_class=is_class,
        is_kept=one.is_kept & other.is_kept,
        distance=jnp.maximum(one.distance, other.distance),
        confidence=jnp.minimum(one.confidence, other.confidence),
    )
    return jax.tree.map(lambda seen, before: jnp.where(is_seen, seen, before), both, one)


def recognise(
    classifier: Classifier,
    logits: jax.Array,
    activations: dict[str, jax.Array],
    scenario: Scenario,
    targets: Targets,
    areas: jax.Array,
    *,
    keep: float,
) -> Recognition:
    """Extracts the measurements of masked images `[N]` from a forward pass; see `xaijax.micro_batches.Readout`."""
    response = respond(classifier, logits, targets, areas)
    explained = targets.resolved(response.predicted).explained
    is_class = (response.predicted == explained) & jnp.isfinite(response.log_odds)
    enough = log_odds_of_share(scenario.baselines, keep)
    original: Original = scenario.references
    distance = 1 - response.probability
    if activations:
        apart = [
            jnp.mean(jnp.square(_flat(value) - _flat(original.activations[name])), axis=1) / original.power[name]
            for name, value in activations.items()
        ]
        distance = jnp.mean(jnp.stack(apart), axis=0)
    return Recognition(
        response=response,
        is_class=is_class,
        is_kept=is_class & (response.log_odds >= enough),
        distance=distance,
        confidence=normalised_confidence(class_logits(classifier, logits), explained),
    )


def normalised_confidence(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Returns the softmax of logits `[N, K]` scaled to [0, 20], of `classes` `[N]` int32: `[N]` float32.

    Equal logits are left as they are.
    """
    lowest, highest = jnp.min(logits, axis=1, keepdims=True), jnp.max(logits, axis=1, keepdims=True)
    scaled = (logits - lowest) / jnp.where(highest > lowest, highest - lowest, 1) * SPREAD
    chosen = jax.nn.one_hot(classes, logits.shape[1], dtype=jnp.bool_)
    return jnp.sum(jnp.where(chosen, jax.nn.softmax(scaled, axis=1), 0), axis=1)


def originals(classifier: Classifier, images: jax.Array, taps: tuple[str, ...], *, relative: bool) -> Original:
    """Runs the whole images through the classifier, for their masked versions to be compared with.

    Args:
        classifier: any.
        images: `[B, H, W, C]`.
        taps: names of the activations to compare; without any, nothing is run.
        relative: whether squared differences at a tap are divided by the mean square of the original's activation.

    Returns:
        `Original` `[B]`.
    """

    def read(image: jax.Array) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        _, activations = classifier.apply(classifier.params, to_unit_range(image)[None], taps)
        values = {name: value[0] for name, value in activations.items()}
        one = {name: jnp.float32(1) for name in values}
        powers = {name: jnp.mean(jnp.square(value.astype(jnp.float32))) for name, value in values.items()}
        return values, {name: jnp.maximum(power, 1e-12) for name, power in powers.items()} if relative else one

    activations, power = map_groups(read, images, GROUP) if taps else ({}, {})
    return Original(activations=activations, power=power)


def tier(values: BothSides) -> jax.Array:
    """Returns what masks achieve: 0 nothing, 1 they keep the class, 2 their inverse is not known to keep it too.

    A mask of all pixels has no inverse and achieves 1 at most.
    """
    kept, loses = values.mask.is_kept, ~values.inverse.is_class & (values.mask.response.area < 1)
    return kept.astype(jnp.int32) + (kept & loses).astype(jnp.int32)


def feasible_first(values: BothSides) -> jax.Array:
    """Returns the fitness of masks: a higher `tier` is fitter, and within a tier the mask that is nearer to the next.

    Masks that lose the class lie below -1, ordered by its probability. Masks whose inverse is still recognised lie from
    -1 to 0, ordered by the probability of the inverse. All others lie above 0, and are the fitter the nearer their
    activations are to the original's.

    References:
        Deb, An Efficient Constraint Handling Method for Genetic Algorithms (2000).
    """
    achieved = tier(values)
    worth = 1 / (1 + values.mask.distance)
    worth = jnp.where(achieved == 1, -values.inverse.response.probability, worth)
    worth = jnp.where(achieved == 0, values.mask.response.probability - 2, worth)
    return _of_masks(values.mask.response, worth)


def minus_distance(values: BothSides) -> jax.Array:
    """Returns the fitness of the notebook: minus the distance, and -1 for masks that lose the class."""
    return _of_masks(values.mask.response, jnp.where(values.mask.is_class, -values.mask.distance, -1.0))


def matrix_confidence(values: BothSides) -> jax.Array:
    """Returns the worth of masks in the score matrix: their normalised confidence, or -1 if they fail.

    A mask fails if it loses the class, or if its inverse is evaluated and still recognised.
    """
    return jnp.where(tier(values) == 2, values.mask.confidence, -1.0)


def _of_masks(response: Response, worth: jax.Array) -> jax.Array:
    """Returns the worth of masks, -inf for those that keep all pixels or none."""
    return jnp.where((response.area > 0) & (response.area < 1), worth, -jnp.inf)


def _flat(activation: jax.Array) -> jax.Array:
    return activation.astype(jnp.float32).reshape(len(activation), -1)
