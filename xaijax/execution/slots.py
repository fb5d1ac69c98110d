"""Searches that begin and end on their own in the slots of a batch: one that has ended leaves its slot to the next.

What an image gets does not depend on the slot, nor on when its neighbours began.
"""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.batch import Batch, image_keys
from xaijax.classifier import Classifier
from xaijax.execution.sharding import over_devices
from xaijax.explanation import Explanation
from xaijax.genetic import search
from xaijax.methods.evolving import Evolution, EvolvingMethod


@chex.dataclass(frozen=True)
class Slots:
    """B slots, and the searches of the images in them."""

    batch: Batch  # of B images, with R / B rows each, in their order
    evolution: Evolution


@functools.partial(jax.jit, static_argnums=(4, 5))
def begin(
    key: jax.Array, words: jax.Array, classifier: Classifier, batch: Batch, method: EvolvingMethod, devices: int
) -> Slots:
    """Begins the searches of a batch.

    Args:
        key: of the run.
        words: `[R, N]` uint32, see `image_keys`.
        classifier: any that can be compiled.
        batch: some of whose rows may be inactive.
        method: of the search.
        devices: that the images are spread over; they divide the slots.
    """

    def begin_part(key: jax.Array, words: jax.Array, classifier: Classifier, batch: Batch) -> Evolution:
        return method.begin(image_keys(key, words), classifier, batch)

    begun = over_devices(begin_part, devices, shared=(0, 2))(key, words, classifier, batch)
    return Slots(batch=batch, evolution=begun)


@functools.partial(jax.jit, static_argnums=(2, 3, 4, 5))
def advance(
    slots: Slots, classifier: Classifier, method: EvolvingMethod, micro_batch: int, devices: int, generations: int
) -> tuple[Slots, jax.Array]:
    """Searches on for some generations.

    Returns:
        The slots, and in which of them all searches have ended, `[B]` bool.
    """

    def advance_part(classifier: Classifier, batch: Batch, evolution: Evolution) -> tuple[Evolution, jax.Array]:
        after = method.advance(evolution, classifier, batch, micro_batch=micro_batch, generations=generations)
        running = (after.states.stop_reason == search.RUNNING).reshape(len(batch.images), -1)
        return after, ~jnp.any(running, axis=1)

    several = over_devices(advance_part, devices, shared=(0,))
    evolution, ended = several(classifier, slots.batch, slots.evolution)
    return dataclasses.replace(slots, evolution=evolution), ended


@jax.jit
def replace(slots: Slots, begun: Slots, taken: jax.Array) -> Slots:
    """Returns the slots with those of `begun` where they were `taken` `[B]` bool by another image."""
    of_rows = jnp.repeat(taken, len(slots.batch.active) // len(taken))

    def where(which: jax.Array, after: Any, before: Any) -> Any:
        def choose(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(which.reshape(-1, *(1,) * (old.ndim - 1)), new, old)

        return jax.tree.map(choose, after, before)

    before, after = slots.batch, begun.batch
    batch = dataclasses.replace(
        before,
        images=where(taken, after.images, before.images),
        targets=where(of_rows, after.targets, before.targets),
        active=where(of_rows, after.active, before.active),
    )
    return Slots(batch=batch, evolution=where(of_rows, begun.evolution, slots.evolution))


@functools.partial(jax.jit, static_argnums=(1, 2))
def finish(slots: Slots, method: EvolvingMethod, devices: int) -> Explanation:
    """Makes the results of all slots; those whose search goes on mean nothing."""

    def finish_part(batch: Batch, evolution: Evolution) -> Explanation:
        return method.finish(evolution, batch)

    return over_devices(finish_part, devices, shared=())(slots.batch, slots.evolution)
