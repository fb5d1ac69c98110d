"""All that is worth knowing of one GPU, within minutes: `python -m benchmarks.speed.gpu PHOTOGRAPHS... --weights FILE`.

    python -m benchmarks.speed.gpu PHOTOGRAPHS... --weights FILE --reference reference.npz
    python -m benchmarks.speed.gpu PHOTOGRAPHS... --model mobilenet_v2 --weights FILE --platform cpu --small

`benchmarks.quality.genomes` makes the reference. The parts (`benchmarks.speed.gpu_parts`) come in the order of their
worth, and the record is written after each. Once the time is spent the rest is left out with a note; a part that fails
costs no other its figures.
"""

import dataclasses
import time
import traceback
from typing import Any

import jax
import tyro

from benchmarks.common.record import plain_options, write_record
from benchmarks.speed.gpu_lab import Lab, Options
from benchmarks.speed.gpu_parts import PARTS


def made_small(options: Options) -> Options:
    """Returns the options of a trial."""
    return dataclasses.replace(
        options,
        count=2,
        batch=2,
        compared=1,
        forward_batch=2,
        evaluations=(12, 24),
        micro_batches=(4,),
        models=options.models[:1],
        others=(),
        segmentation="grid",
        name=f"{options.name}_small",
    )


def main(options: Options) -> None:
    if options.platform is not None:
        jax.config.update("jax_platforms", options.platform)
    options = made_small(options) if options.small else options
    lab = Lab(options, end=time.perf_counter() + options.seconds)
    figures: dict[str, Any] = {"options": plain_options(options), "seconds": {}}
    for name in options.parts or PARTS:
        start = time.perf_counter()
        try:
            figures[name] = PARTS[name](lab) if lab.left > 0 else {"note": "left out: the time was spent"}
        except Exception as error:  # anything may be missing on a machine that nobody has tried
            traceback.print_exc()
            figures[name] = {"note": f"failed: {traceback.format_exception_only(error)[-1].splitlines()[0]}"}
        figures["seconds"][name] = round(time.perf_counter() - start, 1)
        print(name, figures[name], flush=True)
        write_record(options.name, figures, show=False)


if __name__ == "__main__":
    main(tyro.cli(Options))
