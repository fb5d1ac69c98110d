"""The command line: `xaijax demo`, `explain`, `warmup`, `evaluate`, `report`, `status`, `models`, `launch`."""

import contextlib
import functools
import importlib.resources
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import jax
import tyro

from xaijax.cli import evaluate
from xaijax.cli.demo import demo, table
from xaijax.cli.dry_run import estimate
from xaijax.cli.make_job import make_job
from xaijax.cli.method_options import method_options
from xaijax.cli.options import LAUNCH, Demo, Evaluate, Explain, Launch, Models, Report, Status, Warmup
from xaijax.cli.status import read_progress
from xaijax.models.zoo import is_embedded, names
from xaijax.runtime.device.compilation_cache import keep_compiled
from xaijax.runtime.device.cpu_devices import use_all_cores
from xaijax.runtime.executor import compile_job
from xaijax.runtime.input.sources import find_sources
from xaijax.runtime.output.heartbeat import FolderInUseError
from xaijax.runtime.output.page import write_page
from xaijax.runtime.partition import Partition, find_partition
from xaijax.runtime.ray.cluster import connected
from xaijax.runtime.ray.engine import RayEngine
from xaijax.runtime.run import run
from xaijax.runtime.signals import stopped_by_signals

EXPLAINED, SOME_FAILED, CANNOT_RUN, BROKEN, IN_USE, INTERRUPTED = 0, 1, 2, 70, 75, 130
"""The exit codes; a run that SIGTERM stopped ends with 143, one that an error of the program ended with 70, and one in
whose folder another process is at work with 75, for those who may try again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code, see `EXPLAINED`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options_type = method_options(_method_name(arguments))

    def explain_command(options: tyro.conf.OmitArgPrefixes[Explain], search: Any) -> int:
        with connected() if options.engine == "ray" else contextlib.nullcontext():
            return _explain(options, search, shlex.join(["xaijax", *arguments]))

    def warmup_command(options: tyro.conf.OmitArgPrefixes[Warmup], search: Any) -> int:
        return _warmup(options, search)

    for command, options in ((explain_command, Explain), (warmup_command, Warmup)):
        command.__annotations__["search"] = Annotated[options_type, tyro.conf.OmitArgPrefixes]
        command.__doc__ = options.__doc__
    commands = {
        "demo": _with_options(Demo, _demo),
        "explain": explain_command,
        "warmup": warmup_command,
        "evaluate": _with_options(Evaluate, _evaluate),
        "report": _with_options(Report, _report),
        "status": _with_options(Status, _status),
        "models": _with_options(Models, _models),
        "launch": _with_options(Launch, _launch),
    }
    try:
        return tyro.extras.subcommand_cli_from_dict(commands, prog="xaijax", args=arguments)
    except ValueError as error:
        print(f"xaijax: {error}", file=sys.stderr)
        return IN_USE if isinstance(error, FolderInUseError) else CANNOT_RUN
    except KeyboardInterrupt:
        print("xaijax: interrupted; the same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED


def _method_name(arguments: Sequence[str]) -> str:
    for index, argument in enumerate(arguments):
        if argument.startswith("--method="):
            return argument.split("=", 1)[1]
        if argument == "--method" and index + 1 < len(arguments):
            return arguments[index + 1]
    return "elime"


def _with_options(options: type, command: Any) -> Any:
    def wrapped(options: Any) -> int:
        return command(options)

    wrapped.__annotations__["options"] = Annotated[options, tyro.conf.OmitArgPrefixes]
    wrapped.__doc__ = options.__doc__
    return wrapped


def _demo(options: Demo) -> int:
    if options.images < 1:
        raise ValueError(f"images is {options.images} but must be at least 1.")
    use_all_cores()
    if options.cache:
        keep_compiled()
    print(f"explaining {options.images} generated scenes ...", file=sys.stderr)
    print(table(demo(options.out, images=options.images, seed=options.seed, model=options.model)))
    print(f"pictures: {options.out / 'index.html'}")
    return EXPLAINED


def _explain(options: Explain, search: Any, command: str) -> int:
    method = search.make()
    if not options.images:
        raise ValueError("there is nothing to explain; name at least one image file, or a folder of them.")
    sources = find_sources(options.images, out=options.out)
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
    with stopped_by_signals() as stop:
        found = run(
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
        print(f"xaijax: {path}: {error}", file=sys.stderr)
    if found.roofline is not None:
        print(found.roofline)
    told = f"{found.explained} of {found.images} images explained"
    if found.is_finished:
        print(f"{told}: {options.out / 'index.html'}")
    else:
        print(f"{told}." if found.is_stopped or partition.count == 1 else f"{told}; other processes explain the rest.")
    if found.is_stopped:
        print(f"xaijax: stopped; this goes on from here: {command}", file=sys.stderr)
        return stop.exit_code
    return SOME_FAILED if found.failed else EXPLAINED


def _warmup(options: Warmup, search: Any) -> int:
    use_all_cores()
    folder = keep_compiled()
    if folder is None:
        raise ValueError("the cache folder cannot be written; set XDG_CACHE_HOME to one that can.")
    start = time.perf_counter()
    compile_job(make_job(options, search.make()))
    print(f"compiled in {time.perf_counter() - start:.1f} s; kept in {folder}")
    return EXPLAINED


def _on_ray(options: Explain, method: Any, *, images: int) -> RayEngine:
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


def _evaluate(options: Evaluate) -> int:
    arguments = {name: value for name, value in vars(options).items() if name != "folder"}
    found = evaluate.evaluate_run(options.folder, **arguments)
    for path, error in found.skipped[:10]:
        print(f"xaijax: {path}: {error}", file=sys.stderr)
    print(evaluate.table(found))
    print(f"figures of every image: {options.folder / evaluate.METRICS}")
    return SOME_FAILED if found.skipped else EXPLAINED


def _report(options: Report) -> int:
    print(write_page(options.folder))
    return EXPLAINED


def _status(options: Status) -> int:
    print(read_progress(options.folder))
    return EXPLAINED


def _models(options: Models) -> int:
    width = max(map(len, names())) + 2
    for name in names():
        source = "embedded" if is_embedded(name) else "weights from a file: --weights NAME.safetensors"
        print(f"{name:<{width}}{source}")
    return EXPLAINED


def _launch(options: Launch) -> int:
    file = importlib.resources.files("xaijax.cli") / "launch" / LAUNCH[options.where]
    print(file.read_text(encoding="utf-8"), end="")
    return EXPLAINED


def exit_with_code() -> None:
    """The console script."""
    try:
        code = main()
    except Exception:
        traceback.print_exc()
        code = BROKEN
    sys.exit(code)
