"""The compiled programs of a job, and how images are fed to them."""

import concurrent.futures
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from xaijax.arguments import image_id, resolve_targets, split_id
from xaijax.batch import Batch, make_batch
from xaijax.execution import slots
from xaijax.execution.compiled import explain_batch, searches_in_generations
from xaijax.execution.placement import Placement
from xaijax.execution.sharding import count_devices, described, on_all_devices, part_of_each
from xaijax.execution.slot_groups import Groups
from xaijax.explanation import Explanation
from xaijax.fitness import Targets
from xaijax.methods.searching import SearchingMethod
from xaijax.runtime.device.exported_programs import traced_once
from xaijax.runtime.job import Job, Request

STRIDE = 4
"""Generations between two checks for searches that have ended."""

REFILL_FRACTION = 0.25
"""Fraction of the slots that must be free before the next images are started, and the size of the groups in which they
are."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class ExplainedBatch:
    """Images that were explained together.

    Attributes:
        slots: the slot of each image in the result.
        result: rows of all slots, those of a slot next to each other; on the device, possibly not computed yet.
    """

    slots: Sequence[int]
    result: Explanation


Program = Callable[[Iterable[tuple[T, Request]]], Iterator[tuple[list[T], ExplainedBatch]]]
"""Explains requests as they arrive, each with an item of the caller's; the items may be yielded in another order."""


def compile_job(job: Job) -> Program[Any]:
    """Compiles the program of a job: with continuous batching for searches, batch by batch for other methods."""
    if searches_in_generations(job.method):
        return _slots_program(job, job.method)
    return _batches_program(job)


class _Arguments:
    """Makes the arguments of a job's compiled programs for images in given places of a batch.

    Args:
        job: whose programs they are.
        placement: of their work.
        size: of the batch.
    """

    def __init__(self, job: Job, placement: Placement, size: int) -> None:
        self._job = job
        self._size = size
        self._shape = (*job.classifier.input_size, job.classifier.channels)
        self.key = jax.random.key(job.seed, impl="threefry2x32")
        self.classifier = job.classifier
        if placement.devices > 1:
            self.key, self.classifier = on_all_devices((self.key, self.classifier), placement.devices)

    def __call__(
        self, requests: Sequence[Request], places: Sequence[int], *, size: int | None = None
    ) -> tuple[Any, ...]:
        """Returns key, words, classifier and batch, with `requests` in their `places`; of another `size` if given."""
        job, size = self._job, self._size if size is None else size
        images: Any = np.zeros((size, *self._shape), np.uint8)
        words = np.zeros((size, 2), np.uint32)
        target: Any = job.target if isinstance(job.target, str) else np.full((size,), job.target, np.int32)
        for place, request in zip(places, requests, strict=True):
            images[place] = request.pixels
            words[place] = split_id(image_id(request.pixels) if request.id is None else request.id)
            if request.target is not None:
                target[place] = request.target
        explained, others = resolve_targets(target, job.against, job.classifier, images, job.micro_batch)
        is_valid = (explained != others) | (others < 0)
        active = np.isin(np.repeat(np.arange(size), job.rows_per_image), places) & is_valid
        words, batch = make_batch(words, images, Targets(explained=explained, against=others), active=active)
        return self.key, words, self.classifier, batch


def _batches_program(job: Job) -> Program[Any]:
    """Compiles a program that explains batch after batch."""
    devices = count_devices(job.batch_size)
    placement = job.placement(devices)
    arguments = _Arguments(job, placement, -(-job.batch_size // devices) * devices)
    empty = arguments([], [])
    traced = traced_once(explain_batch, empty, (job.method, placement), origin=job.origin)
    program = traced.lower(*empty).compile()

    def explain_all(items: Iterable[tuple[T, Request]]) -> Iterator[tuple[list[T], ExplainedBatch]]:
        left = iter(items)
        while taken := list(itertools.islice(left, job.batch_size)):
            places = range(len(taken))
            result = program(*arguments([request for _, request in taken], places))
            yield [item for item, _ in taken], ExplainedBatch(places, result)

    return explain_all


def _slots_program(job: Job, method: SearchingMethod) -> Program[Any]:
    """Compiles a program with continuous batching: an image whose search has ended leaves its slot to the next one.

    Images begin and end in groups, so that only what is new is segmented, and only what has ended is concluded.
    """
    devices = count_devices(job.batch_size)
    placement = job.placement(devices)
    settings = (method, placement)
    groups = Groups(job.batch_size, devices, REFILL_FRACTION)
    arguments = _Arguments(job, placement, groups.size)
    empty, classifier = arguments([], []), arguments.classifier
    whole_batch = arguments([], [], size=groups.slots)[-1]
    nowhere = np.zeros(groups.slots, np.int32)
    spread_out = part_of_each(devices)
    put = jax.jit(functools.partial(slots.put, placement=placement), donate_argnums=0, out_shardings=spread_out)

    def spread(begun: slots.Slots, batch: Batch) -> slots.Slots:
        return dataclasses.replace(slots.take(begun, nowhere, placement), batch=batch)

    # Each program is compiled while the next one is traced.
    with _Compiling() as compiling:
        traced = traced_once(slots.begin, empty, settings, origin=job.origin)
        begin = compiling(traced, *empty)
        begun = jax.eval_shape(traced, *empty)
        idling = jax.jit(spread, out_shardings=spread_out)
        state = described(jax.eval_shape(idling, begun, whole_batch), devices)
        traced = traced_once(slots.advance, (state, classifier), (*settings, STRIDE), origin=job.origin, donated=(0,))
        advance = compiling(traced, state, classifier)
        traced = traced_once(slots.conclude, (state, groups.nowhere), settings, origin=job.origin)
        conclude = compiling(traced, state, groups.nowhere)
    begin, advance, conclude = (program.result() for program in (begin, advance, conclude))

    def idle() -> slots.Slots:
        return idling(begin(*empty), whole_batch)

    jax.block_until_ready(put(idle(), begin(*empty), groups.nowhere))

    def explain_all(items: Iterable[tuple[T, Request]]) -> Iterator[tuple[list[T], ExplainedBatch]]:
        left, state = iter(items), idle()
        taken: dict[int, T] = {}
        while True:
            free = [slot for slot in groups.in_turn if slot not in taken]
            fresh = dict(zip(free[: job.batch_size - len(taken)], left, strict=False))
            for group in groups.cut(fresh):
                requests = [fresh[slot][1] for slot in group.slots]
                state = put(state, begin(*arguments(requests, group.positions)), group.places)
            taken |= {slot: item for slot, (item, _) in fresh.items()}
            if not taken:
                return
            enough = min(len(taken), math.ceil(REFILL_FRACTION * job.batch_size))
            state, done = _until_some_end(advance, state, classifier, taken, enough, ahead=placement.parallel)
            for group in groups.cut(done):
                yield (
                    [taken.pop(slot) for slot in group.slots],
                    ExplainedBatch(group.positions, conclude(state, group.places)),
                )

    return explain_all


class _Compiling:
    """Compiles programs in threads; leaving the context waits for them."""

    def __enter__(self) -> "_Compiling":
        self._threads = concurrent.futures.ThreadPoolExecutor()
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown()

    def __call__(self, function: Any, *arguments: Any) -> "concurrent.futures.Future[Any]":
        """Traces a jitted function for these arguments, or their shapes, and returns its compiled program to come."""
        return self._threads.submit(function.lower(*arguments).compile)


def _until_some_end(
    advance: Any, state: slots.Slots, classifier: Any, taken: Iterable[int], enough: int, *, ahead: bool
) -> tuple[slots.Slots, list[int]]:
    """Searches on until enough of the slots that are taken have ended; returns the state, and these slots.

    Where the device computes `ahead`, the next generations are dispatched before the host asks which searches have
    ended, so that the device never waits for the answer. A search that has ended keeps its state.
    """
    state, ended = advance(state, classifier)
    while True:
        following = advance(state, classifier) if ahead else None
        has_ended = _read(ended)
        done = [slot for slot in taken if has_ended[slot]]
        state = state if following is None else following[0]
        if len(done) >= enough:
            return state, done
        state, ended = advance(state, classifier) if following is None else following


def _read(ended: jax.Array) -> np.ndarray:
    """Waits for the device, and returns in which slots the searches have ended."""
    return np.asarray(jax.device_get(ended))
