"""The time of a method over the time of as many bare forward passes at the same micro-batch.

    python -m benchmarks.speed.overhead --weights mobilenet_v2.safetensors IMAGES...
    python -m benchmarks.speed.overhead --weights mobilenet_v2.safetensors --methods lime rise --count 16 IMAGES...

The bare passes run in one compiled loop, as the method's do: called one by one from Python they are slower still.
Segmentation is part of it, the default one unless `--segmentation grid` leaves it out; compilation is not. The order is
A B B A, several times over. Each ratio is told of the time on the clock and of the processor's own time, which other
work on the machine disturbs less.
"""

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import choose_photographs, read_photographs
from benchmarks.common.record import write_record
from xaijax.methods.registry import METHODS
from xaijax.micro_batches import micro_batch_size
from xaijax.runtime.device.roofline import bare_passes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    weights: str | None = None
    model: str = "mobilenet_v2"
    padding: str = "symmetric"
    count: int = 8  # images of the batch
    evaluations: int = 240
    rounds: int = 3
    micro_batch: int | None = None
    segmentation: str = "quickshift"
    methods: tuple[str, ...] = ("elime",)
    name: str = "overhead"  # of the record


def compare(name: str, classifier: xaijax.Classifier, images: np.ndarray, options: Options) -> dict[str, Any]:
    """Times one method."""
    kind = METHODS[name]
    settings = {"evaluations": options.evaluations, "segmentation": options.segmentation}
    fields = {field.name for field in dataclasses.fields(kind)}
    method = kind(**{key: value for key, value in settings.items() if key in fields})
    micro_batch = options.micro_batch or micro_batch_size(images.shape[1:], jax.default_backend())

    def explain() -> int:
        result = xaijax.explain(jax.random.key(0), classifier, images, method=method, micro_batch=micro_batch)
        return int(jax.block_until_ready(result).evaluations.sum())

    def bare(evaluations: int) -> None:
        jax.block_until_ready(bare_passes(classifier, images, -(-evaluations // micro_batch), micro_batch))

    evaluations = explain()
    bare(micro_batch)
    clocks = {"clock": time.perf_counter, "processor": time.process_time}
    spent: dict[str, list[list[float]]] = {"method": [], "bare": []}
    for _ in range(options.rounds):
        for side in ("method", "bare", "bare", "method"):
            start = [clock() for clock in clocks.values()]
            explain() if side == "method" else bare(evaluations)
            spent[side].append([clock() - before for clock, before in zip(clocks.values(), start, strict=True)])
    method_s, bare_s = (np.array(spent[side]).T for side in ("method", "bare"))
    row: dict[str, Any] = {"method": name, "evaluations": evaluations, "micro_batch": micro_batch}
    for clock, mine, passes in zip(clocks, method_s, bare_s, strict=True):
        ratios = mine.reshape(-1, 2).sum(axis=1) / passes.reshape(-1, 2).sum(axis=1)
        row[clock] = {
            "ratio": float(np.median(ratios)),
            "ratios": ratios.tolist(),
            "ms_an_evaluation": 1000 * float(np.median(passes)) / evaluations,
        }
    print(name, *(f"{clock} {row[clock]['ratio']:.3f}" for clock in clocks), flush=True)
    return row


def main(options: Options) -> None:
    classifier = xaijax.models.load(options.model, options.weights, padding=options.padding)
    paths = choose_photographs(options.images, options.count)
    images = read_photographs(paths, classifier)
    rows = [compare(name, classifier, images, options) for name in options.methods]
    write_record(options.name, {"model": options.model, "images": len(images), "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Options))
