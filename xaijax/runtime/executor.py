"""The compiled programs of a job, and how images are fed to them."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from xaijax.arguments import image_id, resolve_targets, split_id
from xaijax.batch import make_batch
from xaijax.execution import slots
from xaijax.execution.compiled import explain_batch, searches_in_generations
from xaijax.execution.sharding import count_devices, on_all_devices
from xaijax.explanation import Explanation
from xaijax.fitness import Targets
from xaijax.methods.searching import SearchingMethod
from xaijax.runtime.device.exported_programs import traced_once
from xaijax.runtime.job import Job, Request

STRIDE = 4
"""Generations between two checks for searches that have ended."""

REFILL_FRACTION = 0.25
"""Fraction of the slots that must be free before the next images are started, which has a cost of its own."""

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
    """Makes the arguments of a job's compiled programs for images in given slots.

    Args:
        job: whose programs they are.
    """

    def __init__(self, job: Job) -> None:
        devices = count_devices(job.batch_size)
        self.placement = job.placement(devices)
        self.size = -(-job.batch_size // devices) * devices
        self._job = job
        self._shape = (*job.classifier.input_size, job.classifier.channels)
        self.key = jax.random.key(job.seed)
        self.classifier = job.classifier
        if devices > 1:
            self.key, self.classifier = on_all_devices((self.key, self.classifier), devices)

    def __call__(self, requests: Sequence[Request], chosen: Sequence[int]) -> tuple[Any, ...]:
        """Returns key, words, classifier and batch, with `requests` in the slots `chosen`."""
        job = self._job
        images: Any = np.zeros((self.size, *self._shape), np.uint8)
        words = np.zeros((self.size, 2), np.uint32)
        target: Any = job.target if isinstance(job.target, str) else np.full((self.size,), job.target, np.int32)
        for slot, request in zip(chosen, requests, strict=True):
            images[slot] = request.pixels
            words[slot] = split_id(image_id(request.pixels) if request.id is None else request.id)
            if request.target is not None:
                target[slot] = request.target
        explained, others = resolve_targets(target, job.against, job.classifier, images, job.micro_batch)
        is_valid = (explained != others) | (others < 0)
        active = np.isin(np.repeat(np.arange(self.size), job.rows_per_image), chosen) & is_valid
        words, batch = make_batch(words, images, Targets(explained=explained, against=others), active=active)
        return self.key, words, self.classifier, batch


def _batches_program(job: Job) -> Program[Any]:
    """Compiles a program that explains batch after batch."""
    arguments = _Arguments(job)
    empty = arguments([], [])
    traced = traced_once(explain_batch, empty, (job.method, arguments.placement), origin=job.origin)
    program = traced.lower(*empty).compile()

    def explain_all(items: Iterable[tuple[T, Request]]) -> Iterator[tuple[list[T], ExplainedBatch]]:
        left = iter(items)
        while taken := list(itertools.islice(left, job.batch_size)):
            chosen = range(len(taken))
            result = program(*arguments([request for _, request in taken], chosen))
            yield [item for item, _ in taken], ExplainedBatch(chosen, result)

    return explain_all


def _slots_program(job: Job, method: SearchingMethod) -> Program[Any]:
    """Compiles a program with continuous batching: an image whose search has ended leaves its slot to the next one."""
    arguments = _Arguments(job)
    empty = arguments([], [])
    settings = (method, arguments.placement)
    begin = traced_once(slots.begin, empty, settings, origin=job.origin)
    idle = begin(*empty)
    searched = (idle, arguments.classifier)
    searching = (*settings, STRIDE)
    advance = traced_once(slots.advance, searched, searching, origin=job.origin)
    idle, _ = advance(*searched)
    finish = traced_once(slots.finish, (idle,), settings, origin=job.origin)
    replace = jax.jit(slots.replace)
    jax.block_until_ready(finish(replace(idle, idle, np.zeros(arguments.size, bool))))

    def explain_all(items: Iterable[tuple[T, Request]]) -> Iterator[tuple[list[T], ExplainedBatch]]:
        left, state = iter(items), idle
        taken: dict[int, T] = {}
        while True:
            free = [slot for slot in range(job.batch_size) if slot not in taken]
            fresh = list(itertools.islice(left, len(free)))
            if fresh:
                chosen = free[: len(fresh)]
                begun = begin(*arguments([request for _, request in fresh], chosen))
                state = replace(state, begun, np.isin(np.arange(arguments.size), chosen))
                taken |= {slot: item for slot, (item, _) in zip(chosen, fresh, strict=True)}
            if not taken:
                return
            done: list[int] = []
            while len(done) < min(len(taken), math.ceil(REFILL_FRACTION * job.batch_size)):
                state, ended = advance(state, arguments.classifier)
                has_ended = jax.device_get(ended)
                done = [slot for slot in taken if has_ended[slot]]
            yield [taken.pop(slot) for slot in done], ExplainedBatch(done, finish(state))

    return explain_all
