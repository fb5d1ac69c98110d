"""The command line: `xaijax demo`, `explain`, `evaluate`, `report`, `status`, `models`."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import tyro

from xaijax.methods.names import METHODS
from xaijax.models.zoo import is_embedded, load, names
from xaijax.report.page import write_page
from xaijax.runtime import evaluate
from xaijax.runtime.cache import keep_compiled
from xaijax.runtime.cores import use_all_cores
from xaijax.runtime.demo import demo, table
from xaijax.runtime.inputs import find_sources
from xaijax.runtime.job import Job
from xaijax.runtime.options import method_options
from xaijax.runtime.rows import Save
from xaijax.runtime.run import run
from xaijax.runtime.share import BLOCK, find_share
from xaijax.runtime.signals import stopped_by_signals
from xaijax.runtime.status import read_progress
from xaijax.runtime.targets import find_against, find_target

EXPLAINED, SOME_FAILED, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 130
"""The exit codes; a run that SIGTERM stopped ends with 143."""

FREE = (
    *("images", "out", "save", "batch_size", "cache"),
    *("processes", "process_index", "block_size", "retry_errors", "log_json", "profile"),
)
"""Options of `explain` that another start of a run may change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explain:
    """Explains image files and writes a folder of results; the same command again resumes.

    Attributes:
        images: image files, folders of them, globs, lists (.txt, .jsonl), .tar shards, .npy or .npz arrays, URLs.
        model: a name that `xaijax models` lists.
        weights: safetensors file of the model, or a folder that xaijax.models.save wrote; embedded models need none.
        out: folder for the results.
        method: how to explain.
        target: class to explain: predicted, its number, or its label; or top3 (any number), a line each.
        against: what the class is told from: others, runner-up (the most probable other), a number, or a label.
        labels: text file with a class's label a line.
        num_classes: classes of the weights; by default as published.
        mean: per channel, of [0, 1] pixels; by default as published.
        std: per channel, of [0, 1] pixels; by default as published.
        padding: symmetric as in PyTorch, same as in TensorFlow.
        seed: the same seed gives the same answer.
        batch_size: images searched at a time, on all devices together.
        save: what to write beside results.jsonl.
        cache: keep compiled programs in the user's cache folder, so that a second start does not compile again.
        processes: that share the run, started by the same command with the same folder; auto asks the scheduler (a
            SLURM array or srun, Open MPI). The last to end writes results.jsonl.
        process_index: number of this process, from 0; by default the scheduler's.
        block_size: images in a row that one of several processes takes.
        retry_errors: try images again that an earlier start could not explain.
        log_json: tell the progress in lines of JSON on standard error.
        profile: folder for a trace by JAX's profiler, to be opened in Perfetto or TensorBoard.
    """

    images: Annotated[tuple[str, ...], tyro.conf.Positional]
    model: str = "mobilenet_v2"
    weights: str | None = None
    out: Path
    method: Literal[tuple(METHODS)] = "elime"  # type: ignore[valid-type]
    target: str = "predicted"
    against: str = "others"
    labels: Path | None = None
    num_classes: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    padding: Literal["symmetric", "same"] = "symmetric"
    seed: int = 0
    batch_size: int | Literal["auto"] = "auto"
    save: tuple[Save, ...] = ("masks", "scores", "overlays")
    cache: bool = True
    processes: int | Literal["auto"] | None = None
    process_index: int | None = None
    block_size: int = BLOCK
    retry_errors: bool = False
    log_json: bool = False
    profile: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demo:
    """Explains generated scenes with an embedded classifier; needs no download.

    Attributes:
        out: folder for the pictures and index.html.
        model: the classifier.
        images: scenes to explain.
        seed: of the scenes and the search.
        cache: keep compiled programs in the user's cache folder, so that a second start does not compile again.
    """

    out: Path = Path("xaijax-demo")
    model: Literal[tuple(name for name in names() if is_embedded(name))] = "scenes-resnet"  # type: ignore[valid-type]
    images: int = 16
    seed: int = 0
    cache: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Prints the metrics of a finished run and writes them to metrics.json in its folder.

    Attributes:
        folder: of the run.
        steps: of the insertion and deletion curves; 224 as in RISE, 32 is fast.
        fill: what stands where a mask is 0; by default the run's own.
        weights: of the model, where they are no longer where the run found them.
        boxes: CSV file with the columns name, x0, y0, x1, y1 in pixels of the crop, for the localisation metrics.
        batch_size: images measured at a time.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    steps: int = 32
    fill: str | None = None
    weights: str | None = None
    boxes: Path | None = None
    batch_size: int = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Draws index.html of a finished run again.

    Attributes:
        folder: of the run.
    """

    folder: Annotated[Path, tyro.conf.Positional]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """Tells how far a run is: images done, failed and left.

    Attributes:
        folder: of the run.
    """

    folder: Annotated[Path, tyro.conf.Positional]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Models:
    """Lists what can be loaded, and from where."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0 where all is explained, 1 where some images failed, 2 if it cannot run, 130 stopped."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options_type = method_options(_method_name(arguments))

    def explain_command(options: tyro.conf.OmitArgPrefixes[Explain], search: Any) -> int:
        return _explain(options, search, shlex.join(["xaijax", *arguments]))

    explain_command.__annotations__["search"] = Annotated[options_type, tyro.conf.OmitArgPrefixes]
    explain_command.__doc__ = Explain.__doc__
    commands = {
        "demo": _with_options(Demo, _demo),
        "explain": explain_command,
        "evaluate": _with_options(Evaluate, _evaluate),
        "report": _with_options(Report, _report),
        "status": _with_options(Status, _status),
        "models": _with_options(Models, _models),
    }
    try:
        return tyro.extras.subcommand_cli_from_dict(commands, prog="xaijax", args=arguments)
    except ValueError as error:
        print(f"xaijax: {error}", file=sys.stderr)
        return CANNOT_RUN
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
    sources = find_sources(options.images)
    use_all_cores()
    if options.batch_size != "auto" and options.batch_size < 1:
        raise ValueError(f"batch-size is {options.batch_size} but must be at least 1.")
    if options.cache:
        keep_compiled()
    classifier = load(
        options.model,
        options.weights,
        num_classes=options.num_classes,
        mean=options.mean,
        std=options.std,
        padding=options.padding,
        labels=options.labels,
    )
    full = max(8, 4 * len(jax.local_devices()))
    batch_size = min(len(sources), full) if options.batch_size == "auto" else options.batch_size
    share = find_share(options.process_index, options.processes, options.block_size)
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items() if key not in FREE
    }
    target, against = find_target(options.target, classifier), find_against(options.against, classifier)
    if target == against:
        raise ValueError(f"against {options.against!r} is the target itself; name another class, or runner-up.")
    job = Job(
        classifier=classifier,
        method=method,
        target=target,
        against=against,
        seed=options.seed,
        batch_size=batch_size,
        save=options.save,
        settings=settings | {"options": dataclasses.asdict(method)},
    )
    with stopped_by_signals() as stop:
        found = run(
            sources,
            job,
            options.out,
            share=share,
            stop=stop.event,
            retry_errors=options.retry_errors,
            log_json=options.log_json,
            profile=options.profile,
        )
    for path, error in found.failures:
        print(f"xaijax: {path}: {error}", file=sys.stderr)
    if not found.is_finished:
        left = "; other processes explain the rest" if share.count > 1 and not found.is_stopped else ""
        print(f"{found.explained} of {found.images} images explained{left}.")
    else:
        print(f"{found.explained} of {found.images} images explained: {options.out / 'index.html'}")
    if found.is_stopped:
        print(f"xaijax: stopped; this goes on from here: {command}", file=sys.stderr)
        return stop.exit_code
    return SOME_FAILED if found.failed else EXPLAINED


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
    for name in names():
        print(f"{name:<24}{'embedded' if is_embedded(name) else 'weights from a file: --weights NAME.safetensors'}")
    return EXPLAINED


def exit_with_code() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    exit_with_code()
