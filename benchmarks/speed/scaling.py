"""Whether a run gives the same on any number of devices and processes, and what each process does of it.

    python -m benchmarks.speed.scaling PHOTOGRAPHS... --weights FILE --count 16

`xaijax explain` runs on 1, 2, 4 and 8 devices that a CPU simulates, and as 1, 2 and 4 processes with a common folder,
started at once. All are held against the one of one device: lines of `results.jsonl`, and the files of masks and score
maps, byte by byte. On a machine with fewer cores the seconds say nothing of a cluster; the evaluations of a process do.
More devices than cores have more threads, which changes the last bits of the scores; masks should still be the same.
"""

import dataclasses
import filecmp
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks.common.photographs import choose_photographs, weights_option
from benchmarks.common.record import plain_options, write_record
from benchmarks.speed.processes import run_explain
from xaijax.runtime.partition import Partition

SIMULATED = "--xla_force_host_platform_device_count"
KINDS = ("masks", "scores")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Compares runs on several devices, and of several processes.

    Attributes:
        images: files, and folders of them.
        model: a name that `xaijax models` lists.
        weights: of the model.
        count: images at most, evenly spaced.
        evaluations: an image.
        batch: images searched at a time, on all devices together.
        block: images in a row that one of several processes takes.
        segmentation: of the images.
        devices: counts of simulated devices; the first is what all is held against.
        processes: counts of processes.
        name: of the record.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    model: str = "mobilenet_v2"
    weights: str | None = None
    count: int = 16
    evaluations: int = 60
    batch: int = 8
    block: int = 2
    segmentation: str = "quickshift"
    devices: tuple[int, ...] = (1, 2, 4, 8)
    processes: tuple[int, ...] = (1, 2, 4)
    name: str = "scaling"


def explain(options: Options, out: Path, cache: Path, *, processes: int = 1, devices: int | None = None) -> float:
    """Explains the images into a folder, and returns the seconds until all processes have ended."""
    paths = [path.resolve() for path in choose_photographs(options.images, options.count)]
    command = [
        *paths,
        *("--model", options.model, *weights_option(options.weights), "--out", out),
        *("--evaluations", options.evaluations, "--batch-size", options.batch),
        *("--segmentation", options.segmentation, "--save", *KINDS),
        *("--block-size", options.block, "--processes", processes, "--process-index"),
    ]
    simulated = {} if devices is None else {"XLA_FLAGS": f"{SIMULATED}={devices}"}
    return run_explain(*([*command, index] for index in range(processes)), XDG_CACHE_HOME=str(cache), **simulated)


def differences(out: Path, reference: Path) -> dict[str, int]:
    """Returns how many lines and files of a run are not those of another."""
    here, there = ((folder / "results.jsonl").read_text().splitlines() for folder in (out, reference))
    found = {"rows": max(len(here), len(there)), "differing_rows": abs(len(here) - len(there))}
    found["differing_rows"] += sum(mine != other for mine, other in zip(here, there, strict=False))
    for kind in KINDS:
        names = [file.name for file in (reference / kind).iterdir()]
        _, mismatched, missing = filecmp.cmpfiles(out / kind, reference / kind, names, shallow=False)
        found[f"differing_{kind}"] = len(mismatched) + len(missing)
    return found


def work_of_each(out: Path, processes: int, block: int) -> list[dict[str, Any]]:
    """Returns what each process told that it did, and the evaluations of the images of its share."""
    record = json.loads((out / "run.json").read_text())
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    told = record.get("processes", [record])
    found = []
    for index in range(processes):
        share = Partition(index, processes, block)
        own = [row for place, row in enumerate(rows) if share.has(place)]
        of_share = {"share_images": len(own), "share_evaluations": sum(row.get("evaluations", 0) for row in own)}
        mine = [each for each in told if each.get("process", {"index": 0})["index"] == index]
        found.append({"process": index, **of_share, **(_work(mine[0]) if mine else {})})
    return found


def _work(told: dict[str, Any]) -> dict[str, Any]:
    seconds = told["timings"]["explain_s"]
    return {"evaluations": round(told["evaluations_per_s"] * seconds), "explain_s": seconds}


def main(options: Options) -> None:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        reference = folder / "reference"
        for devices in options.devices:
            out = folder / f"devices-{devices}" if rows else reference
            seconds = explain(options, out, folder / "cache", devices=devices)
            rows.append({"devices": devices, "processes": 1, "seconds": seconds, **differences(out, reference)})
            rows[-1]["of_each"] = work_of_each(out, 1, options.block)
            print(rows[-1], flush=True)
        for processes in options.processes:
            out = folder / f"processes-{processes}"
            seconds = explain(options, out, folder / "cache", processes=processes)
            rows.append({"processes": processes, "seconds": seconds, **differences(out, reference)})
            rows[-1]["of_each"] = work_of_each(out, processes, options.block)
            print(rows[-1], flush=True)
    same = {
        "masks_are_identical": not any(row["differing_masks"] for row in rows),
        "all_identical": not any(value for row in rows for name, value in row.items() if name.startswith("differing")),
    }
    write_record(options.name, {"options": plain_options(options), **same, "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Options))
