"""`xaijax explain`: image files in, a folder of explanations out."""

import contextlib
import functools
import sys

import jax

from xaijax.atomic_files import check_writable
from xaijax.cli.dry_run import estimate
from xaijax.cli.exit_codes import EXPLAINED, SOME_FAILED
from xaijax.cli.make_job import make_job
from xaijax.cli.options import ExplainOptions
from xaijax.execution.compiled import Method
from xaijax.printable import printable
from xaijax.runtime.device.compilation_cache import keep_compiled
from xaijax.runtime.device.cpu_devices import use_all_cores
from xaijax.runtime.input.listing import find_sources
from xaijax.runtime.partition import Partition, find_partition
from xaijax.runtime.ray.cluster import connected
from xaijax.runtime.ray.engine import RayEngine
from xaijax.runtime.run import run as run_job
from xaijax.runtime.signals import stopped_by_signals


def run(options: ExplainOptions, method: Method, command: str) -> int:
    """Explains the images, and prints what came of it.

    Args:
        options: of the command.
        method: as its own options have it.
        command: that starts the same again.
    """
    with connected() if options.engine == "ray" else contextlib.nullcontext():
        return _explain(options, method, command)


def _explain(options: ExplainOptions, method: Method, command: str) -> int:
    if not options.images:
        raise ValueError("there is nothing to explain; name at least one image file, or a folder of them.")
    sources = find_sources(options.images, out=options.out)
    if options.profile is not None:
        check_writable(options.profile)
    use_all_cores()
    if options.cache:
        keep_compiled()
    engine = _on_ray(options, method, images=len(sources)) if options.engine == "ray" else None
    platform = engine.platform if engine else None
    job = make_job(options, method, images=len(sources), platform=platform)
    partition = (
        engine.partition if engine else find_partition(options.process_index, options.processes, options.block_size)
    )
    if options.dry_run:
        print(estimate(sources, job, options.out, partition))
        return EXPLAINED
    with stopped_by_signals(as_json=options.log_json) as stop:
        found = run_job(
            sources,
            job,
            options.out,
            partition=partition,
            engine=engine,
            stop=stop.event,
            retry_errors=options.retry_errors,
            log_json=options.log_json,
            profile=options.profile,
            prune=options.prune,
        )
    for path, error in found.failures:
        print(f"xaijax: {printable(path)}: {printable(error)}", file=sys.stderr)
    if found.roofline is not None:
        print(found.roofline)
    summary = f"{found.explained} of {found.images} images explained"
    if found.is_finished:
        print(f"{summary}: {options.out / 'index.html'}")
    else:
        print(
            f"{summary}."
            if found.is_stopped or partition.count == 1
            else f"{summary}; other processes explain the rest."
        )
    if found.is_stopped:
        print(f"xaijax: stopped; this goes on from here: {command}", file=sys.stderr)
        return stop.exit_code
    return SOME_FAILED if found.failed else EXPLAINED


def _on_ray(options: ExplainOptions, method: Method, *, images: int) -> RayEngine:
    """Returns the engine whose actors load for themselves; this process leaves the accelerators to them."""
    if options.process_index is not None:
        raise ValueError("process-index is for several processes; with --engine ray one command starts them all.")
    engine = RayEngine(
        make_job=functools.partial(make_job, options, method, images=images),
        out=options.out,
        partition=Partition(block=options.block_size),
        workers=None if options.processes == "auto" else options.processes,
        cache=options.cache,
        profile=options.profile,
    )
    jax.config.update("jax_platforms", "cpu")
    return engine
