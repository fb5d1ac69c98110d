"""What a run explains, and how."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from xaijax.classifier import Classifier
from xaijax.execution.compiled import Method
from xaijax.execution.placement import Placement, pairs_at_a_time
from xaijax.micro_batches import micro_batch_size
from xaijax.runtime.layout import Save
from xaijax.sequential import default_platform
from xaijax.target_words import parse_top


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a run explains, and how.

    Attributes:
        classifier: any.
        method: how to explain.
        target: the class to explain; -1 for the predicted one, "topK" for the K most probable ones.
        against: the class to contrast it with, "runner-up" for the most probable other one; None for all others.
        seed: of the run's key.
        batch_size: images that are searched at a time.
        save: what to write in addition to `results.jsonl`.
        settings: for `run.json`; two starts with the same settings are the same run.
        origin: identifies what the classifier was made from, so that its traced programs can be reused; see
            `traced_once`.
        allow_version_change: whether it may go on with a run that other versions of xaijax or JAX began.
        versions: those that are others than the run began with, for the lines of the results; see
            `xaijax.runtime.output.record.VERSIONS`.
        platform: of the devices that search, "cpu", "gpu" or "tpu"; None is this process's.
    """

    classifier: Classifier
    method: Method
    target: int | str
    against: int | str | None = None
    seed: int
    batch_size: int
    save: Sequence[Save]
    settings: dict[str, Any]
    origin: str | None = None
    allow_version_change: bool = False
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    platform: str | None = None

    @property
    def rows_per_image(self) -> int:
        """Classes explained per image."""
        return parse_top(self.target) or 1

    @property
    def micro_batch(self) -> int:
        """Masked images per forward pass; the same whoever asks, a driver or a worker with other devices."""
        shape = (*self.classifier.input_size, self.classifier.channels)
        pairs = pairs_at_a_time(self.method, self.batch_size * self.rows_per_image)
        return micro_batch_size(shape, self.platform or default_platform(), pairs)

    def placement(self, devices: int) -> Placement:
        """Returns how the work is laid out on so many of this process's devices."""
        return Placement(self.micro_batch, devices, (self.platform or default_platform()) != "cpu")


@dataclasses.dataclass(frozen=True)
class Request:
    """An image to explain.

    Attributes:
        pixels: `[H, W, C]` uint8, preprocessed for the classifier.
        target: the class to explain; None is the job's.
        id: see `xaijax.explain`; None is a hash of the pixels.
    """

    pixels: np.ndarray
    target: int | None = None
    id: int | None = None
