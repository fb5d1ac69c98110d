"""What the kernel's rate depends on: images, batch, evaluations, micro-batch, model, type and devices, one at a time.

    python -m benchmarks.speed.throughput IMAGES... --weights FILE
    python -m benchmarks.speed.throughput IMAGES... --models mobilenet_v2 resnet50 --weights FILE FILE --devices 2 1

The first value of each axis is where the others are measured, and where `benchmarks.speed.breakdown` tells where the
time goes. Every setting has a process of its own, as the devices of a CPU are fixed before JAX starts;
`benchmarks.speed.kernel` is what it runs.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks.common.photographs import command_line
from benchmarks.common.record import plain_options, write_record
from benchmarks.speed import kernel
from benchmarks.speed.processes import ProcessError, run_module
from xaijax.classifier import Dtype


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Measures what the kernel's rate depends on.

    Attributes:
        images: files, and folders of them.
        models: names that `xaijax models` lists.
        weights: a file a model, in their order; none for embedded ones.
        dtypes: of the forward pass.
        counts: images in all; at least a batch.
        batches: images a compiled call.
        evaluations: an image.
        micro_batches: masked images a forward pass; None is the library's rule.
        devices: None is all of them, on CPU one a core.
        segmentation: of the images, a part of the kernel.
        fill: what stands where a mask is 0.
        rounds: of A B B A.
        name: of the record.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    models: tuple[str, ...] = ("mobilenet_v2",)
    weights: tuple[str, ...] = ()
    dtypes: tuple[Dtype, ...] = ("float32",)
    counts: tuple[int, ...] = (16, 32)
    batches: tuple[int, ...] = (8, 1, 2, 4, 16)
    evaluations: tuple[int, ...] = (120, 60, 240)
    micro_batches: tuple[int | None, ...] = (None, 4, 16, 32)
    devices: tuple[int | None, ...] = (None, 1)
    segmentation: str = "quickshift"
    fill: str = "blur"
    rounds: int = 2
    name: str = "throughput"


def settings(options: Options) -> Iterator[tuple[str, kernel.Options]]:
    """Yields the axis that is moved, and a setting."""
    weights = dict(zip(options.models, options.weights, strict=True)) if options.weights else {}
    axes: dict[str, tuple[Any, ...]] = {
        "devices": options.devices,
        "batch": options.batches,
        "micro_batch": options.micro_batches,
        "evaluations": options.evaluations,
        "count": options.counts,
        "dtype": options.dtypes,
        "model": options.models,
    }
    base = {axis: values[0] for axis, values in axes.items()}
    moved = [(axis, base | {axis: value}) for axis, values in axes.items() for value in values[1:]]
    for axis, chosen in [("base", base), *moved]:
        chosen["count"] = max(chosen["count"], chosen["batch"])
        yield (
            axis,
            kernel.Options(
                images=options.images,
                weights=weights.get(chosen["model"]),
                segmentation=options.segmentation,
                fill=options.fill,
                rounds=options.rounds,
                **chosen,
            ),
        )


def main(options: Options) -> None:
    rows = []
    for axis, setting in settings(options):
        asked = {"axis": axis, "dtype": setting.dtype, "micro_batch": setting.micro_batch, "devices": setting.devices}
        try:
            found = json.loads(run_module("benchmarks.speed.kernel", command_line(setting)).splitlines()[-1])
        except ProcessError as error:  # too large for the device, for example: the other settings stand
            found = {"error": str(error)}
        rows.append(asked | found)
        shown = ("images_per_s", "evaluations_per_s", "share_of_bare", "share_of_matrix_product", "error")
        print(axis, {name: rows[-1][name] for name in shown if name in rows[-1]}, flush=True)
    base = next(setting for _, setting in settings(options))
    parts = json.loads(run_module("benchmarks.speed.breakdown", command_line(base)).splitlines()[-1])
    write_record(options.name, {"options": plain_options(options), "rows": rows, "time": parts})


if __name__ == "__main__":
    main(tyro.cli(Options))
