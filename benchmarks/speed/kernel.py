"""The kernel at one setting: the compiled search of whole batches, against bare forward passes in the same process.

    python -m benchmarks.speed.kernel PHOTOGRAPHS... --weights FILE --batch 8 --devices 2

Prints a line of JSON. Images are read and the search compiled before the clock starts; of its results only the
evaluations are looked at. `benchmarks.speed.throughput` runs it over many settings, `benchmarks.speed.whole_run` holds
the whole command against it. The order is A B B A, several times over. Arithmetic is what XLA counts of a forward pass,
times the evaluations; the matrix products that it is held against run on the same devices.
"""

import dataclasses
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import PhotographOptions, choose_photographs, read_photographs
from xaijax.arguments import name_images
from xaijax.batch import make_batch
from xaijax.classifier import Dtype
from xaijax.execution.compiled import Method, compiled_explain
from xaijax.execution.placement import Placement
from xaijax.execution.sharding import count_devices
from xaijax.fitness import Targets
from xaijax.micro_batches import micro_batch_size
from xaijax.runtime.device.cpu_devices import use_all_cores
from xaijax.runtime.device.roofline import bare_passes, flops_of_a_pass, matrix_product_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Measures the kernel at one setting.

    Attributes:
        dtype: of the forward pass.
        evaluations: an image.
        micro_batch: masked images a forward pass; None is the library's rule.
        devices: None is all of them, on CPU one a core as on the command line.
        rounds: of A B B A.
    """

    count: int = 16
    dtype: Dtype = "float32"
    evaluations: int = 120
    micro_batch: int | None = None
    devices: int | None = None
    rounds: int = 2


def use_devices(count: int | None) -> None:
    """Lets a CPU have as many devices, before JAX starts; without a count one a core, as the command line does."""
    if count is None:
        use_all_cores()
    else:
        jax.config.update("jax_num_cpu_devices", count)


Arguments = tuple[Any, ...]
"""Of the compiled search: a batch."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The compiled search of a batch.

    Attributes:
        program: explains a batch.
        arguments: makes its arguments of images `[B, H, W, C]`, at most a batch; the slots that are left hold none.
        batch: images that it takes.
        micro_batch: masked images a forward pass.
        devices: that a batch is spread over.
        compile_s: seconds of the compilation.
    """

    program: Callable[..., xaijax.Explanation]
    arguments: Callable[[np.ndarray], Arguments]
    batch: int
    micro_batch: int
    devices: int
    compile_s: float

    def batches(self, images: np.ndarray) -> list[Arguments]:
        """Returns the arguments of as many calls as the images need."""
        return [self.arguments(images[start : start + self.batch]) for start in range(0, len(images), self.batch)]

    def run(self, batches: list[Arguments]) -> int:
        """Explains batches and returns the evaluations that they took."""
        results = [self.program(*batch) for batch in batches]
        return sum(int(np.asarray(result.evaluations).sum()) for result in jax.block_until_ready(results))

    def explain(self, images: np.ndarray) -> xaijax.Explanation:
        """Explains at most a batch, and returns its rows on the host."""
        found = jax.device_get(self.program(*self.arguments(images)))
        return jax.tree.map(lambda leaf: leaf[: len(images)], found)

    @property
    def temporary_bytes(self) -> int | None:
        """What the program needs on a device beside its arguments and results, as XLA counts it."""
        counted: Any = self.program.memory_analysis()  # type: ignore[attr-defined]
        return counted.temp_size_in_bytes if counted else None


def compile_kernel(
    classifier: xaijax.Classifier,
    method: Method,
    *,
    batch: int,
    micro_batch: int | None = None,
    devices: int | None = None,
    seed: int = 0,
) -> Kernel:
    """Compiles the search of a batch of so many images, as a run does."""
    shape = (*classifier.input_size, classifier.channels)
    devices = count_devices(batch) if devices is None else devices
    platform = jax.default_backend()
    micro_batch = micro_batch or micro_batch_size(shape, platform)
    placement = Placement(micro_batch, devices, platform != "cpu")
    size = -(-batch // devices) * devices

    def arguments(images: np.ndarray) -> Arguments:
        gap = (0, size - len(images))
        pixels: Any = np.pad(images, [gap, (0, 0), (0, 0), (0, 0)])
        words = np.pad(name_images(images, None), [gap, (0, 0)])
        predicted: Any = np.full((size,), -1, np.int32)
        active: Any = np.arange(size) < len(images)
        targets = Targets(explained=predicted, against=predicted)
        words, batch_of_images = make_batch(words, pixels, targets, active=active)
        return jax.random.key(seed), words, classifier, batch_of_images

    first = arguments(np.zeros((1, *shape), np.uint8))
    start = time.perf_counter()
    program = compiled_explain.lower(*first, method, placement).compile()
    return Kernel(program, arguments, batch, micro_batch, devices, time.perf_counter() - start)


def time_kernel(kernel: Kernel, classifier: xaijax.Classifier, images: np.ndarray, rounds: int) -> dict[str, Any]:
    """Times the kernel against as many bare passes in turn, and returns its rates."""
    batches = kernel.batches(images)

    def bare(evaluations: int) -> None:
        passes = np.int32(-(-evaluations // (kernel.micro_batch * kernel.devices)))
        jax.block_until_ready(bare_passes(classifier, images, passes, kernel.micro_batch, kernel.devices))

    evaluations = kernel.run(batches)
    bare(1)
    spent: dict[str, list[float]] = {"kernel": [], "bare": []}
    for _ in range(rounds):
        for side in ("kernel", "bare", "bare", "kernel"):
            start = time.perf_counter()
            kernel.run(batches) if side == "kernel" else bare(evaluations)
            spent[side].append(time.perf_counter() - start)
    seconds = float(np.median(spent["kernel"]))
    joined = {side: np.reshape(times, (-1, 2)).sum(axis=1) for side, times in spent.items()}
    return {
        "spent_evaluations": evaluations,
        "seconds": spent["kernel"],
        "images_per_s": len(images) / seconds,
        "evaluations_per_s": evaluations / seconds,
        "share_of_bare": float(np.median(joined["bare"] / joined["kernel"])),
        "shares_of_bare": (joined["bare"] / joined["kernel"]).tolist(),
    }


def arithmetic(classifier: xaijax.Classifier, kernel: Kernel, dtype: Dtype, evaluations_per_s: float) -> dict[str, Any]:
    """Returns how near the evaluations come to the devices' rate of matrix products."""
    flops = flops_of_a_pass(classifier)
    products = matrix_product_rate(dtype, devices=kernel.devices)
    used = None if flops is None else flops * evaluations_per_s
    return {
        "flops_of_a_pass": flops,
        "flops_per_s": used,
        "matrix_product_flops_per_s": products,
        "share_of_matrix_product": None if used is None else used / products,
    }


def peak_bytes() -> dict[str, int]:
    """Returns the most memory that this process has had so far, and its first device where that has its own."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    device = {"peak_device_bytes": statistics["peak_bytes_in_use"]} if "peak_bytes_in_use" in statistics else {}
    return {"peak_resident_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, **device}


def measure(classifier: xaijax.Classifier, images: np.ndarray, options: Options) -> dict[str, Any]:
    """Returns all figures of one setting."""
    kernel = compile_kernel(
        classifier,
        xaijax.ELIME(evaluations=options.evaluations, segmentation=options.segmentation, fill=options.fill),
        batch=options.batch,
        micro_batch=options.micro_batch,
        devices=options.devices,
        seed=options.seed,
    )
    rates = time_kernel(kernel, classifier, images, options.rounds)
    return {
        "model": options.model,
        "dtype": options.dtype,
        "images": len(images),
        "batch": options.batch,
        "evaluations": options.evaluations,
        "micro_batch": kernel.micro_batch,
        "devices": kernel.devices,
        "compile_s": kernel.compile_s,
        **rates,
        **arithmetic(classifier, kernel, options.dtype, rates["evaluations_per_s"]),
        "temporary_bytes": kernel.temporary_bytes,
        **peak_bytes(),
    }


def main(options: Options) -> None:
    use_devices(options.devices)
    classifier = xaijax.models.load(options.model, options.weights, dtype=options.dtype)
    images = read_photographs(choose_photographs(options.images, options.count), classifier)
    print(json.dumps(measure(classifier, images, options)))


if __name__ == "__main__":
    main(tyro.cli(Options))
