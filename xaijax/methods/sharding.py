"""The images of a batch over the devices of the process: each searches for its own, and nothing is exchanged."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from xaijax.explanation import Explanation
from xaijax.methods.batch import Batch

AXIS = "images"


def count_devices(images: int) -> int:
    """Returns how many of the process's devices a batch of images is spread over."""
    return max(1, min(images, len(jax.local_devices())))


def pad_images(words: np.ndarray, batch: Batch, devices: int) -> tuple[np.ndarray, Batch]:
    """Adds places without an image, so that each device gets equally many.

    Args:
        words: `[R, N]`, of the rows' keys.
        batch: B images in host memory, with R / B rows each, in their order.
        devices: that the images are to be spread over.
    """
    count, rows = len(batch.images), len(batch.active)
    short = -count % devices
    if short == 0:
        return words, batch
    each = rows // count

    def pad(leaf: Any, places: int) -> np.ndarray:
        leaf = np.asarray(leaf)
        return np.concatenate([leaf, np.repeat(leaf[-1:], places, axis=0)])

    source: Any = batch.source if batch.source is None else np.repeat(np.arange(count + short, dtype=np.int32), each)
    of_images = ("images", "labels", "background", "start")
    padded: dict[str, Any] = {
        name: pad(leaf, short) for name in of_images if (leaf := getattr(batch, name)) is not None
    }
    targets = jax.tree.map(lambda leaf: pad(leaf, short * each), batch.targets)
    active: Any = np.concatenate([np.asarray(batch.active), np.zeros((short * each,), bool)])
    return pad(words, short * each), dataclasses.replace(batch, **padded, targets=targets, active=active, source=source)


def over_devices(explain: Callable[..., Explanation], devices: int) -> Callable[..., Explanation]:
    """Returns `explain(key, words, classifier, batch)` so that each device explains an equal part of the images.

    Args:
        explain: traceable; what it returns for an image does not depend on the others.
        devices: of the process, to use; they divide the images of the batch.
    """
    mesh = jax.make_mesh((devices,), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.local_devices()[:devices])

    def explain_part(key: jax.Array, words: jax.Array, classifier: Any, batch: Batch) -> Explanation:
        first = jax.lax.axis_index(AXIS) * len(batch.images)
        local = batch.source if batch.source is None else batch.source - first
        found = explain(key, words, classifier, dataclasses.replace(batch, source=local))
        return dataclasses.replace(found, image_index=(found.image_index + first).astype(jnp.int32))

    part, whole = PartitionSpec(AXIS), PartitionSpec()
    return jax.shard_map(explain_part, mesh=mesh, in_specs=(whole, part, whole, part), out_specs=part, check_vma=False)
