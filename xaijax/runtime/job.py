"""What a run explains, and the compiled program that does it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.classifier import Classifier
from xaijax.evaluation import micro_batch_size
from xaijax.explain import Method, compiled_explain
from xaijax.explanation import Explanation
from xaijax.fitness import Targets
from xaijax.methods.arguments import find_targets, image_id, parse_top, split_id
from xaijax.methods.batch import Batch
from xaijax.methods.sharding import count_devices
from xaijax.runtime.rows import Save


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a run explains, and how.

    Attributes:
        classifier: any.
        method: how to explain.
        target: the class explained; -1 for the predicted one, "topK" for the K most probable ones.
        against: the class that it is told from, "runner-up" for the most probable other one; None for all others.
        seed: of the run's key.
        batch_size: images a compiled call.
        save: what to write beside `results.jsonl`.
        settings: what makes two runs the same, for `run.json`.
    """

    classifier: Classifier
    method: Method
    target: int | str
    against: int | str | None = None
    seed: int
    batch_size: int
    save: Sequence[Save]
    settings: dict[str, Any]

    @property
    def rows_per_image(self) -> int:
        """Classes explained of each image."""
        return parse_top(self.target) or 1

    @property
    def micro_batch(self) -> int:
        """Masked images a forward pass."""
        shape = (*self.classifier.input_size, self.classifier.channels)
        return micro_batch_size(shape, jax.default_backend())


@dataclasses.dataclass(frozen=True)
class Request:
    """An image to explain.

    Attributes:
        pixels: `[H, W, C]` uint8, as the classifier wants them.
        target: the class; None is the job's.
        id: see `xaijax.explain`; None names the image by its pixels.
    """

    pixels: np.ndarray
    target: int | None = None
    id: int | None = None


Program = Callable[[Sequence[Request]], Explanation]
"""Explains at most a batch of images."""


def compile_job(job: Job) -> Program:
    """Compiles the search of a whole batch."""
    devices = count_devices(job.batch_size)
    size, each = -(-job.batch_size // devices) * devices, job.rows_per_image
    shape = (*job.classifier.input_size, job.classifier.channels)
    key = jax.random.key(job.seed)
    source: Any = np.repeat(np.arange(size, dtype=np.int32), each)

    def arguments(requests: Sequence[Request]) -> tuple[Any, ...]:
        images: Any = np.zeros((size, *shape), np.uint8)
        words = np.zeros((size, 2), np.uint32)
        target: Any = job.target if isinstance(job.target, str) else np.full((size,), job.target, np.int32)
        for place, request in enumerate(requests):
            images[place] = request.pixels
            words[place] = split_id(image_id(request.pixels) if request.id is None else request.id)
            if request.target is not None:
                target[place] = request.target
        explained, others = find_targets(target, job.against, job.classifier, images, job.micro_batch)
        batch = Batch(
            images=images,
            targets=Targets(explained=explained, against=others),
            active=jnp.asarray((source < len(requests)) & ((explained != others) | (others < 0))),
            source=source if each > 1 else None,
        )
        return key, words[source], job.classifier, batch

    program = compiled_explain.lower(*arguments([]), job.method, job.micro_batch, devices).compile()
    return lambda batch: program(*arguments(batch))
