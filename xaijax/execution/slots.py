"""The steps of a search over a batch: begin, advance, finish, and put other images into slots whose search ended.

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
from xaijax.execution.sharding import over_devices, split
from xaijax.explanation import Explanation
from xaijax.genetic import search
from xaijax.methods.searching import Searches, SearchingMethod
from xaijax.sequential import rows_in_parallel


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


def put(slots: Slots, begun: Slots, places: jax.Array, placement: Placement) -> Slots:
    """Puts searches that have just begun into slots, in place of those that ended there.

    Args:
        slots: of any number.
        begun: G searches; each device has an equal part of both.
        places: `[G]` int32, the slot of each, counted on its device; a number past the last leaves it out.
        placement: of the work.
    """

    def put_part(slots: Slots, begun: Slots, places: jax.Array) -> Slots:
        def over(index: jax.Array, old: Any, new: Any) -> Any:
            return jax.tree.map(lambda before, after: before.at[index].set(after, mode="drop"), old, new)

        images = over(places, _of_images(slots), _of_images(begun))
        return _rebuilt(slots, images, over(_rows(places, slots), _of_rows(slots), _of_rows(begun)))

    return split(put_part, placement.devices)(slots, begun, places)


def take(slots: Slots, places: Any, placement: Placement) -> Slots:
    """Returns copies of some slots, in the order of `places` `[G]` int32, which are counted on their device."""
    return split(_taken, placement.devices)(slots, places)


def conclude(slots: Slots, places: jax.Array, method: SearchingMethod, placement: Placement) -> Explanation:
    """Makes the results of some slots, in the order of `places` `[G]` int32, which are counted on their device."""

    def conclude_part(slots: Slots, places: jax.Array) -> Explanation:
        taken = _taken(slots, places)
        return method.finish(taken.searches, taken.batch)

    with rows_in_parallel(placement.parallel):
        return split(conclude_part, placement.devices)(slots, places)


def finish(slots: Slots, method: SearchingMethod, placement: Placement) -> Explanation:
    """Makes the results of all slots; those whose search goes on mean nothing."""

    def finish_part(batch: Batch, searches: Searches) -> Explanation:
        return method.finish(searches, batch)

    with rows_in_parallel(placement.parallel):
        return over_devices(finish_part, placement.devices, shared=())(slots.batch, slots.searches)


def _taken(slots: Slots, places: Any) -> Slots:
    rows = _rows(places, slots)
    images = jax.tree.map(lambda leaf: leaf[places], _of_images(slots))
    taken = _rebuilt(slots, images, jax.tree.map(lambda leaf: leaf[rows], _of_rows(slots)))
    if slots.batch.source is None:
        return taken
    source = _rows(jnp.arange(len(places), dtype=jnp.int32), slots) // _rows_of_each(slots)
    scenario = dataclasses.replace(taken.searches.scenario, source=source)
    return Slots(
        batch=dataclasses.replace(taken.batch, source=source),
        searches=dataclasses.replace(taken.searches, scenario=scenario),
    )


def _rows_of_each(slots: Slots) -> int:
    return len(slots.batch.active) // len(slots.batch.images)


def _rows(places: Any, slots: Slots) -> jax.Array:
    """Returns the rows of the images in some slots."""
    each = _rows_of_each(slots)
    return (places[:, None] * each + jnp.arange(each, dtype=jnp.int32)[None]).reshape(-1)


def _of_images(slots: Slots) -> Any:
    """Returns what of the slots has one entry for each image."""
    scenario = slots.searches.scenario
    return slots.batch.images, scenario.images, scenario.fills, scenario.references


def _of_rows(slots: Slots) -> Any:
    """Returns what of the slots has one entry for each row."""
    batch, searches = slots.batch, slots.searches
    scenario = searches.scenario
    return batch.targets, batch.active, searches.states, searches.merged, scenario.contexts, scenario.baselines


def _rebuilt(slots: Slots, of_images: Any, of_rows: Any) -> Slots:
    """Returns the slots with other values of `_of_images` and `_of_rows`."""
    images, shown, fills, references = of_images
    targets, active, states, merged, contexts, baselines = of_rows
    scenario = dataclasses.replace(
        slots.searches.scenario,
        images=shown,
        fills=fills,
        references=references,
        contexts=contexts,
        baselines=baselines,
    )
    return Slots(
        batch=dataclasses.replace(slots.batch, images=images, targets=targets, active=active),
        searches=Searches(states=states, scenario=scenario, merged=merged),
    )
