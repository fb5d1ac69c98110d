"""The roofline of a search: the rates of bare forward passes, and of large matrix products, on the same devices."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from xaijax.classifier import Classifier, Dtype, to_unit_range

AXIS = "devices"


@dataclasses.dataclass(frozen=True)
class Roofline:
    """The rates that a run achieved, and the highest rates of its devices.

    Attributes:
        evaluations_per_s: forward passes of the run per second, over its whole time.
        forward_per_s: bare forward passes per second, at the same micro-batch on the same devices.
        flops_per_s: floating-point operations per second in the run's forward passes, as counted by XLA; None if it
            does not count them.
        matrix_flops_per_s: floating-point operations per second in products of large matrices of the classifier's type.
    """

    evaluations_per_s: float
    forward_per_s: float
    flops_per_s: float | None
    matrix_flops_per_s: float

    def __str__(self) -> str:
        """Returns the rates of the run in one line, as shares of the highest rates."""
        passes = (
            f"roofline: {self.evaluations_per_s:,.0f} evaluations per second, "
            f"{self.evaluations_per_s / self.forward_per_s:.0%} of bare forward passes ({self.forward_per_s:,.0f})"
        )
        if self.flops_per_s is None:
            return passes
        return (
            f"{passes}; {self.flops_per_s / 1e9:,.1f} GFLOP/s, {self.flops_per_s / self.matrix_flops_per_s:.0%} of "
            f"matrix products ({self.matrix_flops_per_s / 1e9:,.1f})"
        )


def measure_roofline(
    classifier: Classifier, evaluations_per_s: float, *, micro_batch: int, devices: int, seconds: float = 1.0
) -> Roofline:
    """Measures the highest rates of the devices, for a few seconds, and returns them beside those of a run.

    Args:
        classifier: of the run; not a black box.
        evaluations_per_s: of the run.
        micro_batch: masked images per forward pass.
        devices: number of the process's devices that the run used.
        seconds: approximate duration of each measurement.
    """
    dtype: Dtype = getattr(classifier.apply, "dtype", "float32")
    operations = flops_of_a_pass(classifier)
    return Roofline(
        evaluations_per_s=evaluations_per_s,
        forward_per_s=forward_rate(classifier, micro_batch, devices=devices, seconds=seconds),
        flops_per_s=None if operations is None else operations * evaluations_per_s,
        matrix_flops_per_s=matrix_product_rate(dtype, devices=devices, seconds=seconds / 2),
    )


def forward_rate(classifier: Classifier, micro_batch: int, *, devices: int = 1, seconds: float = 1.0) -> float:
    """Measures the images per second of bare forward passes, on all devices at once, without compilation.

    Args:
        classifier: not a black box.
        micro_batch: images per forward pass.
        devices: number of the process's devices to use at the same time.
        seconds: approximate duration of the measurement.
    """
    shape = (micro_batch, *classifier.input_size, classifier.channels)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))

    def call(passes: int) -> float:
        start = time.perf_counter()
        jax.block_until_ready(bare_passes(classifier, images, np.int32(passes), micro_batch, devices))
        return time.perf_counter() - start

    call(1)
    passes = max(1, round(seconds / call(1)))
    return devices * passes * micro_batch / call(passes)


@functools.partial(jax.jit, static_argnums=(3, 4))
def bare_passes(
    classifier: Classifier, images: jax.Array, passes: jax.Array, micro_batch: int, devices: int = 1
) -> jax.Array:
    """Runs `passes` forward passes of a micro-batch on each device, in one compiled loop; returns summed logits."""

    def run(classifier: Classifier, images: jax.Array, passes: jax.Array) -> jax.Array:
        def step(index: jax.Array, total: jax.Array) -> jax.Array:
            # The images change with the index and depend on the total, so that no pass can be hoisted from the loop.
            chosen = (index + jnp.arange(micro_batch)) % len(images)
            shown, total = jax.lax.optimization_barrier((images, total))
            return total + classifier.apply(classifier.params, to_unit_range(shown[chosen]))[0]

        return jax.lax.fori_loop(0, passes, step, jnp.zeros((micro_batch, classifier.num_classes)))

    return on_each_device(run, devices)(classifier, images, passes)


def on_each_device(run: Callable[..., jax.Array], devices: int) -> Callable[..., jax.Array]:
    """Returns a function that runs `run` on each of the process's first devices and concatenates the results."""
    if devices == 1:
        return run
    mesh = jax.make_mesh((devices,), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.local_devices()[:devices])
    return jax.shard_map(run, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec(AXIS), check_vma=False)


def flops_of_a_pass(classifier: Classifier) -> float | None:
    """Returns the floating-point operations of a forward pass of one image as counted by XLA; None if it does not."""
    shape = (1, *classifier.input_size, classifier.channels)  # of a loop over images XLA would count one iteration
    forward = jax.jit(lambda params, images: classifier.apply(params, images)[0])
    counted: Any = forward.lower(classifier.params, jax.ShapeDtypeStruct(shape, jnp.float32)).cost_analysis()
    return counted["flops"] if counted and counted.get("flops", 0) > 0 else None


def matrix_product_rate(dtype: Dtype, *, devices: int = 1, side: int | None = None, seconds: float = 0.5) -> float:
    """Measures floating-point operations per second in products of large square matrices, on all devices at once.

    Args:
        dtype: of the matrices.
        devices: number of the process's devices to use at the same time.
        side: of the matrices; None is 1,024 on CPU and 8,192 elsewhere.
        seconds: approximate duration of each of three measurements, of which the best counts.
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
