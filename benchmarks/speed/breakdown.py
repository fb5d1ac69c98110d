"""Where the time of `xaijax explain` goes: seconds an image of its passes, segmentation, search, transfers and files.

    python -m benchmarks.speed.breakdown PHOTOGRAPHS... --weights FILE --batch 8

Prints a line of JSON. Bare passes, segmentation (with its fill), and the copies to and from the device are each timed
alone; the search is what the kernel takes beyond passes and segmentation; files are what the whole command takes beyond
its kernel and the copies: reading, decoding, writing and what it waits for. `benchmarks.speed.throughput` runs it.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import choose_photographs, read_photographs, weights_option
from benchmarks.speed.forward import seconds
from benchmarks.speed.kernel import Kernel, Options, compile_kernel, time_kernel, use_devices
from benchmarks.speed.processes import run_explain
from xaijax.batch import Batch
from xaijax.execution.sharding import over_devices
from xaijax.sequential import rows_in_parallel

PARTS = ("passes", "segmentation", "search", "transfer", "files")


def median_seconds(call: Callable[[], object], rounds: int) -> float:
    """Returns the median time of a call that blocks until it is done, after one that compiles."""
    call()
    return statistics.median(seconds(call, rounds))


def segmentation_seconds(method: xaijax.ELIME, kernel: Kernel, images: np.ndarray, rounds: int) -> float:
    """Returns the seconds of segmenting the images and making their fills, in the kernel's batches."""

    def segment(classifier: xaijax.Classifier, batch: Batch) -> Any:
        def of_part(classifier: xaijax.Classifier, batch: Batch) -> Any:
            segmented = method.segment(classifier, batch)
            return segmented.segments, segmented.scenario.fills

        with rows_in_parallel(jax.default_backend() != "cpu"):
            return over_devices(of_part, kernel.devices, shared=(0,))(classifier, batch)

    compiled = jax.jit(segment)
    batches = [(classifier, batch) for _, _, classifier, batch in kernel.batches(images)]
    return median_seconds(lambda: jax.block_until_ready([compiled(*batch) for batch in batches]), rounds)


def transfer_seconds(kernel: Kernel, images: np.ndarray, rounds: int) -> float:
    """Returns the seconds of copying the images to the device, and their explanations from it."""
    batches = kernel.batches(images)
    sent = median_seconds(lambda: jax.block_until_ready([jax.device_put(batch[-1]) for batch in batches]), rounds)
    spent = []
    for _ in range(rounds):
        found = jax.block_until_ready([kernel.program(*batch) for batch in batches])
        start = time.perf_counter()
        jax.device_get(found)
        spent.append(time.perf_counter() - start)
    return sent + statistics.median(spent)


def command_seconds(paths: list[Path], options: Options) -> float:
    """Returns the seconds of the whole command on the images, from the end of its compilation."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        run_explain(
            [
                *(path.resolve() for path in paths),
                *("--model", options.model, *weights_option(options.weights), "--dtype", options.dtype),
                *("--batch-size", options.batch, "--evaluations", options.evaluations, "--fill", options.fill),
                *("--segmentation", options.segmentation, "--no-cache", "--out", out),
            ]
        )
        return float(json.loads((out / "run.json").read_text())["timings"]["explain_s"])


def measure(options: Options) -> dict[str, Any]:
    """Returns the seconds an image of each part, and of the whole."""
    use_devices(options.devices)
    paths = choose_photographs(options.images, options.count)
    classifier = xaijax.models.load(options.model, options.weights, dtype=options.dtype)
    images = read_photographs(paths, classifier)
    method = xaijax.ELIME(evaluations=options.evaluations, segmentation=options.segmentation, fill=options.fill)
    setting = {"batch": options.batch, "micro_batch": options.micro_batch, "devices": options.devices}
    kernel = compile_kernel(classifier, method, **setting, seed=options.seed)
    rates = time_kernel(kernel, classifier, images, options.rounds)
    whole = float(np.median(rates["seconds"]))
    passes = whole * rates["share_of_bare"]
    segmentation = segmentation_seconds(method, kernel, images, options.rounds)
    transfer = transfer_seconds(kernel, images, options.rounds)
    command = command_seconds(paths, options)
    spent = (passes, segmentation, whole - passes - segmentation, transfer, command - whole - transfer)
    return {
        "images": len(images),
        "kernel_s": whole / len(images),
        "command_s": command / len(images),
        "parts": {part: each / len(images) for part, each in zip(PARTS, spent, strict=True)},
    }


if __name__ == "__main__":
    print(json.dumps(measure(tyro.cli(Options))))
