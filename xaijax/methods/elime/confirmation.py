"""Confirmation: a mask that does what is asked under the first fill is looked at under the others, one after the other.

A search that sees a mask under one fill only finds masks that lean on it. One that sees every mask under all fills pays
for each several times. Here a mask costs further passes only where it could be picked: where in every view so far it is
better than the best mask that is confirmed.
"""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier
from xaijax.fitness import RESPONSE, Game, Response, Targets, in_game, penalised_probability, respond
from xaijax.micro_batches import Readout, Scenario, View, Views


@chex.dataclass(frozen=True)
class Demand:
    """What is asked of the masks of an image; leading axes for more."""

    least: jax.Array  # [] float32, log-odds in the sense of the game that are enough
    most: jax.Array  # [] float32, log-odds of the class that what a mask leaves out may have
    better: jax.Array  # [] float32, worth above which a mask is looked at again


@chex.dataclass(frozen=True)
class Look:
    """What is read of a mask in one view; leading axes for more."""

    response: Response
    keeps: jax.Array  # [] bool, whether it does what is asked, and is better than what is confirmed
    loses: jax.Array  # [] bool, whether what is seen is few enough of the class to be left out


@chex.dataclass(frozen=True)
class Confirmed:
    """What is known of a mask after its views; leading axes for more."""

    first: Response  # in the first view
    lowest: Response  # the same, with the log-odds of the view in which the mask is worth the least
    by_fill: jax.Array  # [F] float32, the log-odds under each fill, NaN where it was not looked at
    is_confirmed: jax.Array  # [] bool, whether it does what is asked in all views
    passes: jax.Array  # [] int32, views so far


_LOOK: Any = {
    "response": RESPONSE,
    "keeps": jax.ShapeDtypeStruct((), jnp.bool_),
    "loses": jax.ShapeDtypeStruct((), jnp.bool_),
}
LOOK = Look(**_LOOK)
"""The shapes of a `Look`."""


def confirmed_shapes(fills: int) -> Confirmed:
    """Returns the shapes of a `Confirmed`, for an archive."""
    shapes: Any = {
        "first": RESPONSE,
        "lowest": RESPONSE,
        "by_fill": jax.ShapeDtypeStruct((fills,), jnp.float32),
        "is_confirmed": jax.ShapeDtypeStruct((), jnp.bool_),
        "passes": jax.ShapeDtypeStruct((), jnp.int32),
    }
    return Confirmed(**shapes)


def views_of_game(fills: int, game: Game) -> tuple[View, ...]:
    """Returns the views of a mask: under each fill and, in the game "both", of what it leaves out too."""
    sides = (False, True) if game == "both" else (False,)
    return tuple(View(is_inverse=side, fill=fill) for fill in range(fills) for side in sides)


@functools.cache  # the same object again, as a partial function equals only itself: programs are found by their readout
def confirmation_readout(fills: int, game: Game, area_weight: float | None) -> Readout:
    """Returns the readout of a search that confirms masks under a number of fills; see `worth`.

    The baselines of its scenario are a `Demand`.
    """
    views = views_of_game(fills, game)
    inverses = tuple(view.is_inverse for view in views)
    return Readout(
        read=functools.partial(look, game=game, area_weight=area_weight),
        values=LOOK,
        views=views,
        goes_on=functools.partial(_does, inverses=inverses),
    )


def worth(seen: Response, *, area_weight: float | None) -> jax.Array:
    """Returns what makes one mask better than another: less area, or its fitness where area has a weight."""
    return -seen.area if area_weight is None else penalised_probability(seen, area_weight=area_weight)


def look(
    classifier: Classifier,
    logits: jax.Array,
    activations: Any,
    scenario: Scenario,
    targets: Targets,
    areas: jax.Array,
    *,
    game: Game,
    area_weight: float | None,
) -> Look:
    """Reads masked images `[N]`; see `xaijax.micro_batches.Readout`."""
    response = respond(classifier, logits, targets, areas)
    seen, demand = in_game(game, response), scenario.baselines
    is_better = (seen.area > 0) & (worth(seen, area_weight=area_weight) > demand.better)
    return Look(
        response=response,
        keeps=(seen.log_odds >= demand.least) & is_better,
        loses=response.log_odds <= demand.most,
    )


def _does(values: Look, view: jax.Array, *, inverses: tuple[bool, ...]) -> jax.Array:
    """Returns whether masks do what is asked in their view."""
    is_inverse = jnp.zeros(view.shape, jnp.bool_)
    for number in (number for number, inverse in enumerate(inverses) if inverse):
        is_inverse |= view == number
    return jnp.where(is_inverse, values.loses, values.keeps)


def confirm(views: Views, *, fills: int, game: Game) -> Confirmed:
    """Sums up the views `[N]` of masks, which are those of `views_of_game`."""
    values: tuple[Look, ...] = views.values
    inverses = [view.is_inverse for view in views_of_game(fills, game)]
    first, last = values[0].response, values[-1]
    sign = -1 if game == "deletion" else 1
    # In the game "both" a mask is also worth no more than what it leaves out lacks.
    worths = [
        jnp.where(is_seen, -look.response.log_odds if inverse else sign * look.response.log_odds, jnp.inf)
        for look, is_seen, inverse in zip(values, views.is_seen, inverses, strict=True)
    ]
    by_fill = [
        jnp.where(is_seen, look.response.log_odds, jnp.nan)
        for look, is_seen, inverse in zip(values, views.is_seen, inverses, strict=True)
        if not inverse
    ]
    return Confirmed(
        first=first,
        lowest=dataclasses.replace(first, log_odds=sign * functools.reduce(jnp.minimum, worths)),
        by_fill=jnp.stack(by_fill, axis=-1),
        is_confirmed=views.is_seen[-1] & (last.loses if inverses[-1] else last.keeps),
        passes=jnp.sum(jnp.stack(views.is_seen, axis=-1), axis=-1, dtype=jnp.int32),
    )


def passes_of(values: Confirmed) -> jax.Array:
    """Returns the forward passes that each mask took."""
    return values.passes
