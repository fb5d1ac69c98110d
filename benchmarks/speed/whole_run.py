"""The whole command against its kernel, over thousands of images: the share of the rate that is left, and the memory.

    python -m benchmarks.speed.whole_run PHOTOGRAPHS... --weights FILE --scenes 2000

`xaijax explain` runs over generated scenes and the photographs, evenly mixed, in a process of its own, as a user starts
it: photographs last would show what larger files need, not what many images need. Before and after it
`benchmarks.speed.kernel` explains some of the same images at the same batch and devices, in processes alike. The
command should reach 0.85 of the kernel's rate; its memory over the second half of the images should be at most 1.05
times what it was over the first, where compilation does not count.
"""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from benchmarks.common.photographs import command_line, weights_option
from benchmarks.common.record import plain_options, write_record
from benchmarks.speed import kernel
from benchmarks.speed.processes import Sample, Watched, run_module, watch_explain
from xaijax.runtime.input.listing import find_sources
from xaijax.runtime.layout import Save

LEAST_SHARE, MOST_GROWTH = 0.85, 1.05
"""The bars: of the kernel's rate, and of memory in the second half over that in the first."""

SHOWN = 120
"""Samples of the memory that a record holds, about."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Measures the whole command against its kernel.

    Attributes:
        images: photographs beside the scenes: files, and folders of them.
        scenes: generated ones.
        model: a name that `xaijax models` lists.
        weights: of the model.
        evaluations: an image.
        batch: images searched at a time, on all devices together.
        segmentation: of the images.
        save: what the command writes beside results.jsonl.
        kernel_images: of the input, evenly spaced, that the kernel explains.
        every: seconds from one look at the memory to the next.
        seed: of the scenes and the search.
        name: of the record.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    scenes: int = 2000
    model: str = "mobilenet_v2"
    weights: str | None = None
    evaluations: int = 60
    batch: int = 8
    segmentation: str = "quickshift"
    save: tuple[Save, ...] = ("masks", "scores", "overlays")
    kernel_images: int = 64
    every: float = 1.0
    seed: int = 0
    name: str = "whole_run"


def mixed(scenes: list[Path], photographs: list[Path]) -> list[Path]:
    """Returns both, the photographs evenly spread among the scenes."""
    places = [((i + 0.5) / len(paths), path) for paths in (scenes, photographs) for i, path in enumerate(paths)]
    return [path for _, path in sorted(places)]


def run_command(inputs: list[Path], options: Options, out: Path) -> Watched:
    """Explains the inputs by the command line."""
    return watch_explain(
        [
            *inputs,
            *("--model", options.model, *weights_option(options.weights), "--out", out, "--seed", options.seed),
            *("--batch-size", options.batch, "--evaluations", options.evaluations),
            *("--segmentation", options.segmentation, "--no-cache", "--save", *options.save),
        ],
        every=options.every,
    )


def run_kernel(inputs: list[Path], options: Options) -> dict[str, Any]:
    """Measures the kernel on some of the inputs."""
    setting = kernel.Options(
        images=tuple(inputs),
        model=options.model,
        weights=options.weights,
        count=options.kernel_images,
        batch=options.batch,
        evaluations=options.evaluations,
        segmentation=options.segmentation,
        seed=options.seed,
        rounds=1,
    )
    return json.loads(run_module("benchmarks.speed.kernel", command_line(setting)).splitlines()[-1])


def memory_figures(samples: list[Sample], images: int) -> dict[str, Any]:
    """Returns how memory grew, from the first image that was done on."""
    searching = [sample for sample in samples if sample.images > 0]
    first = [sample.resident_bytes for sample in searching if 2 * sample.images <= images]
    second = [sample.resident_bytes for sample in searching if 2 * sample.images > images]
    if not first or not second:
        return {"note": "the run was too short to look at each of its halves"}
    growth = max(second) / max(first)
    return {
        "peak_first_half_bytes": max(first),
        "peak_second_half_bytes": max(second),
        "second_half_over_first": growth,
        "is_within_bar": growth <= MOST_GROWTH,
        "peak_bytes": max(sample.resident_bytes for sample in samples),
    }


def rate_figures(record: dict[str, Any], kernels: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the rates of a run's record over the mean of the kernel's, before and after it."""
    names = ("images_per_s", "evaluations_per_s")
    shares = {name: record[name] / float(np.mean([found[name] for found in kernels])) for name in names}
    return {
        "command": {name: record[name] for name in names},
        "kernel": {name: [found[name] for found in kernels] for name in names},
        "kernel_share_of_bare": [found["share_of_bare"] for found in kernels],
        "share_of_kernel": shares["images_per_s"],
        "share_of_kernel_by_evaluations": shares["evaluations_per_s"],
        "is_within_bar": shares["images_per_s"] >= LEAST_SHARE,
    }


def main(options: Options) -> None:
    with tempfile.TemporaryDirectory() as place:
        scenes, out = Path(place) / "scenes", Path(place) / "run"
        run_module("benchmarks.common.scene_files", [scenes, "--count", options.scenes, "--seed", options.seed])
        inputs = [scenes, *options.images]
        photographs = [Path(source.name) for source in find_sources(options.images)] if options.images else []
        listed = Path(place) / "images.txt"
        listed.write_text("".join(f"{path.resolve()}\n" for path in mixed(sorted(scenes.iterdir()), photographs)))
        kernels = [run_kernel(inputs, options)]
        watched = run_command([listed], options, out)
        kernels.append(run_kernel(inputs, options))
        record = json.loads((out / "run.json").read_text())
        written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    shown = watched.samples[:: -(-len(watched.samples) // SHOWN)]
    figures = {
        "options": plain_options(options),
        "images": record["images"],
        "devices": len(record["devices"]),
        "micro_batch": record["micro_batch"],
        "seconds": watched.seconds,
        "timings": record["timings"],
        "written_bytes": written,
        "rate": rate_figures(record, kernels),
        "memory": memory_figures(watched.samples, record["images"]),
        "samples": {
            "seconds": [round(sample.seconds, 1) for sample in shown],
            "resident_mib": [sample.resident_bytes >> 20 for sample in shown],
            "images": [sample.images for sample in shown],
        },
    }
    write_record(options.name, figures)


if __name__ == "__main__":
    main(tyro.cli(Options))
