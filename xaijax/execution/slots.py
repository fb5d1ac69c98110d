"""The steps of a search over a batch: begin, advance, finish, and put other images into the slots of some.

The host drives them: generation by generation (`host_loop`), or with slots that are filled again as soon as their
search has ended (continuous batching). What an image gets depends neither on its slot nor on when its neighbours began.
"""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.batch import Batch, image_keys
from xaijax.classifier import Classifier
from xaijax.execution.placement import Placement
from xaijax.execution.sharding import over_devices
from xaijax.explanation import Explanation
from xaijax.genetic import search
from xaijax.methods.searching import Searches, SearchingMethod
from xaijax.sequential import choose_rows, rows_in_parallel


@chex.dataclass(frozen=True)
class Slots:
    """B slots, and the searches of the images in them."""

    batch: Batch  # of B images, with R / B rows each, in their order
    searches: Searches


def begin(
    key: jax.Array,
    words: jax.Array,
    classifier: Classifier,
    batch: Batch,
    method: SearchingMethod,
    placement: Placement,
) -> Slots:
    """Begins the searches of a batch; traceable, as all here.

    Args:
        key: of the run.
        words: `[R, N]` uint32, see `image_keys`.
        classifier: any that can be compiled.
        batch: some of whose rows may be inactive.
        method: of the search.
        placement: of the work; its devices divide the slots.
    """

    def begin_part(key: jax.Array, words: jax.Array, classifier: Classifier, batch: Batch) -> Searches:
        return method.begin(image_keys(key, words), classifier, batch)

    with rows_in_parallel(placement.parallel):
        begun = over_devices(begin_part, placement.devices, shared=(0, 2))(key, words, classifier, batch)
    return Slots(batch=batch, searches=begun)


def advance(
    slots: Slots, classifier: Classifier, method: SearchingMethod, placement: Placement, generations: int
) -> tuple[Slots, jax.Array]:
    """Searches on for some generations.

    Returns:
        The slots, and in which of them all searches have ended, `[B]` bool.
    """

    def advance_part(classifier: Classifier, batch: Batch, searches: Searches) -> tuple[Searches, jax.Array]:
        micro_batch = placement.micro_batch
        after = method.advance(searches, classifier, batch, micro_batch=micro_batch, generations=generations)
        running = (after.states.stop_reason == search.RUNNING).reshape(len(batch.images), -1)
        return after, ~jnp.any(running, axis=1)

    with rows_in_parallel(placement.parallel):
        several = over_devices(advance_part, placement.devices, shared=(0,))
        searches, ended = several(classifier, slots.batch, slots.searches)
    return dataclasses.replace(slots, searches=searches), ended


def ask(slots: Slots, method: SearchingMethod, placement: Placement) -> tuple[Slots, jax.Array]:
    """Proposes genomes for a classifier that is called from the host; see `SearchingMethod.ask`."""
    with rows_in_parallel(placement.parallel):
        searches, genomes = method.ask(slots.searches)
    return dataclasses.replace(slots, searches=searches), genomes


def tell(slots: Slots, values: Any, method: SearchingMethod, placement: Placement) -> Slots:
    """Takes in what was read of the proposed genomes; see `SearchingMethod.tell`."""
    with rows_in_parallel(placement.parallel):
        return dataclasses.replace(slots, searches=method.tell(slots.searches, values))


def replace(slots: Slots, begun: Slots, taken: jax.Array) -> Slots:
    """Returns the slots with those of `begun` where they were `taken` `[B]` bool by another image."""
    of_rows = jnp.repeat(taken, len(slots.batch.active) // len(taken))

    before, after = slots.batch, begun.batch
    batch = dataclasses.replace(
        before,
        images=choose_rows(taken, after.images, before.images),
        targets=choose_rows(of_rows, after.targets, before.targets),
        active=choose_rows(of_rows, after.active, before.active),
    )
    searches = Searches(
        states=choose_rows(of_rows, begun.searches.states, slots.searches.states),
        scenario=begun.searches.scenario.select(taken, of_rows, slots.searches.scenario),
        merged=choose_rows(of_rows, begun.searches.merged, slots.searches.merged),
    )
    return Slots(batch=batch, searches=searches)


def finish(slots: Slots, method: SearchingMethod, placement: Placement) -> Explanation:
    """Makes the results of all slots; those whose search goes on mean nothing."""

    def finish_part(batch: Batch, searches: Searches) -> Explanation:
        return method.finish(searches, batch)

    with rows_in_parallel(placement.parallel):
        return over_devices(finish_part, placement.devices, shared=())(slots.batch, slots.searches)
