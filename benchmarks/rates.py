"""What the devices do at most, to hold a search against: bare forward passes and matrix products."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

import xaijax
from xaijax.classifier import Dtype, to_unit_range
from xaijax.runtime.cores import use_all_cores

AXIS = "devices"


def use_devices(count: int | None) -> None:
    """Lets a CPU have as many devices, before JAX starts; without a count one a core, as the command line does."""
    if count is None:
        use_all_cores()
    else:
        jax.config.update("jax_num_cpu_devices", count)


@functools.partial(jax.jit, static_argnums=(3, 4))
def bare_passes(
    classifier: xaijax.Classifier, images: jax.Array, passes: jax.Array, micro_batch: int, devices: int = 1
) -> jax.Array:
    """Runs as many forward passes of a micro-batch on each device, in one compiled loop."""

    def run(classifier: xaijax.Classifier, images: jax.Array, passes: jax.Array) -> jax.Array:
        def step(index: jax.Array, total: jax.Array) -> jax.Array:
            chosen = (index + jnp.arange(micro_batch)) % len(images)  # another order each time: nothing to hoist
            return total + classifier.apply(classifier.params, to_unit_range(images[chosen]))[0]

        return jax.lax.fori_loop(0, passes, step, jnp.zeros((micro_batch, classifier.num_classes)))

    return on_each_device(run, devices)(classifier, images, passes)


def on_each_device(run: Callable[..., jax.Array], devices: int) -> Callable[..., jax.Array]:
    """Returns `run` so that each of the process's first devices does the whole of it; the results are joined."""
    if devices == 1:
        return run
    mesh = jax.make_mesh((devices,), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.local_devices()[:devices])
    return jax.shard_map(run, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec(AXIS), check_vma=False)


def flops_of_a_pass(classifier: xaijax.Classifier, micro_batch: int) -> float | None:
    """Returns the floating-point operations of a forward pass of one image, as XLA counts them; None if it does not."""
    shape = (micro_batch, *classifier.input_size, classifier.channels)
    forward = jax.jit(lambda params, images: classifier.apply(params, images)[0])
    counted: Any = forward.lower(classifier.params, jax.ShapeDtypeStruct(shape, jnp.float32)).cost_analysis()
    return counted["flops"] / micro_batch if counted and counted.get("flops", 0) > 0 else None


def matrix_product_rate(dtype: Dtype, *, devices: int = 1, side: int | None = None, seconds: float = 0.5) -> float:
    """Measures floating-point operations a second of products of large square matrices, on all devices at once.

    Args:
        dtype: of the matrices.
        devices: of the process, that work at the same time.
        side: of the matrices; None is 1,024 on CPU and 8,192 elsewhere.
        seconds: that each of three measurements takes, about; the best counts.
    """
    side = side or (1024 if jax.default_backend() == "cpu" else 8192)
    matrix = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype) / side**0.5  # products keep its scale

    def call(count: int) -> float:
        start = time.perf_counter()
        jax.block_until_ready(_products(matrix, np.int32(count), devices))
        return time.perf_counter() - start

    call(1)
    count = max(1, round(seconds / call(1)))
    return devices * count * 2 * side**3 / min(call(count) for _ in range(3))


@functools.partial(jax.jit, static_argnums=2)
def _products(matrix: jax.Array, count: jax.Array, devices: int) -> jax.Array:
    def run(matrix: jax.Array, count: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, count, lambda _, product: product @ matrix, matrix)

    return on_each_device(run, devices)(matrix, count)
