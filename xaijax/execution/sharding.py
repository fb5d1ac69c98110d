"""The images of a batch over the devices of the process: each searches for its own, and nothing is exchanged."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from xaijax.batch import Batch
from xaijax.explanation import Explanation

T = TypeVar("T")

AXIS = "images"


def count_devices(images: int) -> int:
    """Returns how many of the process's devices a batch of images is spread over."""
    return max(1, min(images, len(jax.local_devices())))


def batch_size(images: int, devices: int = 1) -> int:
    """Returns how many images the compiled program of a batch takes.

    Each device gets 2^k or 3 * 2^k images, so that batches of 1 to 100 images share 14 programs.

    Args:
        images: to explain, at least 1.
        devices: that they are spread over.
    """
    each = -(-images // devices)
    power = 1 << (each - 1).bit_length()
    return devices * (3 * power // 4 if each <= 3 * power // 4 else power)


def pad_images(words: np.ndarray, batch: Batch, size: int) -> tuple[np.ndarray, Batch]:
    """Adds slots without an image.

    Args:
        words: `[R, N]`, of the rows' keys.
        batch: B images in host memory, with R / B rows each, in their order.
        size: of the batch with them, at least B.
    """
    count, rows = len(batch.images), len(batch.active)
    short = size - count
    if short == 0:
        return words, batch
    each = rows // count

    def pad(leaf: Any, slots: int) -> np.ndarray:
        leaf = np.asarray(leaf)
        return np.concatenate([leaf, np.repeat(leaf[-1:], slots, axis=0)])

    source: Any = batch.source if batch.source is None else np.repeat(np.arange(count + short, dtype=np.int32), each)
    of_images = ("images", "labels", "background", "start")
    padded: dict[str, Any] = {
        name: pad(leaf, short) for name in of_images if (leaf := getattr(batch, name)) is not None
    }
    targets = jax.tree.map(lambda leaf: pad(leaf, short * each), batch.targets)
    active: Any = np.concatenate([np.asarray(batch.active), np.zeros((short * each,), bool)])
    return pad(words, short * each), dataclasses.replace(batch, **padded, targets=targets, active=active, source=source)


def over_devices(function: Callable[..., T], devices: int, *, shared: tuple[int, ...]) -> Callable[..., T]:
    """Returns `function` so that each device works on an equal part of the images.

    Args:
        function: traceable; of its arguments, and of what it returns, the leading axis is that of images, or of rows.
            What it returns for an image does not depend on the others.
        devices: of the process, to use; they divide the images of the batch. One is none to speak of.
        shared: the arguments that all devices get whole.
    """
    if devices == 1:
        return function

    def of_part(*arguments: Any) -> T:
        images = next(len(each.images) for each in arguments if isinstance(each, Batch))
        first = jax.lax.axis_index(AXIS) * images
        local = [_shifted(each, -first) if isinstance(each, Batch) else each for each in arguments]
        found = function(*local)
        if isinstance(found, Explanation):
            return dataclasses.replace(found, image_index=(found.image_index + first).astype(jnp.int32))
        return found

    return split(of_part, devices, shared=shared)


def split(function: Callable[..., T], devices: int, *, shared: tuple[int, ...] = ()) -> Callable[..., T]:
    """Returns `function` so that each device calls it with an equal part of the arguments, along their leading axes.

    Args:
        function: traceable.
        devices: of the process, to use; they divide the leading axes.
        shared: the arguments that all devices get whole.
    """
    if devices == 1:
        return function

    def over_all(*arguments: Any) -> T:
        specs = tuple(
            PartitionSpec() if position in shared else PartitionSpec(AXIS) for position in range(len(arguments))
        )
        part = jax.shard_map(
            function, mesh=device_mesh(devices), in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False
        )
        found: T = part(*arguments)
        return found

    return over_all


def on_all_devices(tree: T, devices: int) -> T:
    """Returns a pytree that each device holds whole, so that no call has to send it again."""
    return jax.device_put(tree, NamedSharding(device_mesh(devices), PartitionSpec()))


def part_of_each(devices: int) -> NamedSharding | None:
    """Returns how arrays lie of which each device has an equal part; None for one device, where nothing is said."""
    return None if devices == 1 else NamedSharding(device_mesh(devices), PartitionSpec(AXIS))


def described(tree: T, devices: int) -> T:
    """Returns the shapes of a pytree's arrays, of which each device has an equal part, for what compiles beforehand."""
    placed = part_of_each(devices)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placed), tree)


def device_mesh(devices: int) -> Mesh:
    """Returns the mesh over the process's first devices."""
    return jax.make_mesh((devices,), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.local_devices()[:devices])


def _shifted(batch: Batch, images: jax.Array) -> Batch:
    source = batch.source if batch.source is None else batch.source + images
    return dataclasses.replace(batch, source=source)
