"""Seconds from the start of `xaijax explain` on one photograph to its end: compiled anew, from the cache, without one.

    python -m benchmarks.speed.start_up PHOTOGRAPH --weights FILE

Each start is a process of its own, in turn: with an empty cache, a second time with what the first left there, and with
`--no-cache`. The second start should end within 8 s. Compilation and search are the command's own figures; the import
is that of the command's module, and nothing else; the rest is reading the weights, writing and the way out.
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from benchmarks.common.photographs import weights_option
from benchmarks.common.record import plain_options, write_record
from benchmarks.speed.processes import run_explain, run_module

MOST_SECONDS = 8.0
"""The bar of the second start."""

PARTS = ("total_s", "import_s", "compile_s", "explain_s", "rest_s")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Measures the start of the command.

    Attributes:
        image: a photograph.
        model: a name that `xaijax models` lists.
        weights: of the model.
        evaluations: of the photograph.
        segmentation: of the photograph.
        rounds: starts of each kind.
        name: of the record.
    """

    image: Annotated[Path, tyro.conf.Positional]
    model: str = "mobilenet_v2"
    weights: str | None = None
    evaluations: int = 120
    segmentation: str = "quickshift"
    rounds: int = 3
    name: str = "start_up"


def seconds_of_import() -> float:
    """Returns the seconds of a process that only imports the command."""
    start = time.perf_counter()
    run_module("xaijax.cli.explain", [])
    return time.perf_counter() - start


def start(options: Options, out: Path, cache: Path, *extra: str) -> dict[str, float]:
    """Explains the photograph once, and returns the seconds of each part."""
    imported = seconds_of_import()
    named = ["--model", options.model, "--evaluations", options.evaluations, "--segmentation", options.segmentation]
    command = [options.image.resolve(), *named, *weights_option(options.weights), "--out", out, *extra]
    total = run_explain(command, XDG_CACHE_HOME=str(cache))
    told = json.loads((out / "run.json").read_text())["timings"]
    rest = total - imported - told["compile_s"] - told["explain_s"]
    parts = (total, imported, told["compile_s"], told["explain_s"], rest)
    return dict(zip(PARTS, parts, strict=True))


def main(options: Options) -> None:
    seconds_of_import()  # Python's files are read from the disk once
    found: dict[str, list[dict[str, float]]] = {"empty cache": [], "second start": [], "no cache": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as place:
            for kind, starts in found.items():
                extra = ("--no-cache",) if kind == "no cache" else ()
                starts.append(start(options, Path(place) / kind, Path(place) / "cache", *extra))
                print(kind, {part: round(seconds, 2) for part, seconds in starts[-1].items()}, flush=True)
    rows: dict[str, Any] = {
        kind: {part: float(np.median([each[part] for each in starts])) for part in PARTS}
        | {"totals_s": [each["total_s"] for each in starts]}
        for kind, starts in found.items()
    }
    within = rows["second start"]["total_s"] < MOST_SECONDS
    write_record(options.name, {"options": plain_options(options), "starts": rows, "is_within_bar": within})


if __name__ == "__main__":
    main(tyro.cli(Options))
