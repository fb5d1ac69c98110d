"""How the work of a batch is laid out on its devices: a static part of what its programs are compiled for."""

import dataclasses
from typing import Any

import jax

from xaijax.sequential import default_platform


@dataclasses.dataclass(frozen=True)
class Placement:
    """How the work of a batch is laid out; hashable.

    Attributes:
        micro_batch: masked images per forward pass.
        devices: of the process, that the images are spread over; they divide the batch.
        parallel: whether what stands beside the forward passes is computed for all images at once, rather than image by
            image; see `xaijax.sequential`.
    """

    micro_batch: int
    devices: int = 1
    parallel: bool = False


def pairs_at_a_time(method: Any, rows: int) -> int | None:
    """Returns how many masked images of so many rows are evaluated at a time, at most; None if the method is silent."""
    masks = getattr(method, "masks_at_a_time", None)
    return None if masks is None else rows * int(masks)


def platform_of(images: Any) -> str:
    """Returns the platform, "cpu", "gpu" or "tpu", of the device that programs on these images run on."""
    if isinstance(images, jax.Array) and images.committed:
        return str(next(iter(images.devices())).platform)
    return default_platform()
