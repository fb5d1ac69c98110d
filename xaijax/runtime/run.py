"""A run: image files in, a folder of explanations out."""

import contextlib
import dataclasses
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from xaijax.atomic_files import writing_to
from xaijax.execution.sharding import count_devices
from xaijax.runtime.device.roofline import Roofline, measure_roofline
from xaijax.runtime.device.versions import package_versions
from xaijax.runtime.executor import compile_job
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.layout import BLOCKS, READING
from xaijax.runtime.output.heartbeat import working_in
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.page_file import write_page
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.partition import ALL, Partition
from xaijax.runtime.pipeline import explain_all, fitting
from xaijax.runtime.progress import ProgressReporter, say, saying_if_slow
from xaijax.runtime.resume import Numbered, find_left
from xaijax.runtime.targets import check_targets, targets_by_name

LISTED_FAILURES = 10
"""Failures that an `Outcome` lists."""

LOOKS_S = (0.0, 1.0, 5.0)
"""Seconds before each further look at what the other processes have written, where all say that they are through."""

Engine = Callable[[Sequence[Numbered], Journal, threading.Event, ProgressReporter], dict[str, Any]]
"""Explains images elsewhere, as `explain_all` does in this process, until none are left or the event is set; returns
its figures for `run.json`. The journal is that of the run."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The state of a run after one of its processes has ended.

    Attributes:
        images: number of images in the input.
        explained: number of explained images, by all processes.
        failed: number of lines with an error, by all processes.
        failures: path and error of the first of these lines.
        is_finished: whether no image is left, so that `results.jsonl` is complete.
        is_stopped: whether this process was stopped before the end of its share.
        roofline: of the images that this process explained, if the search was profiled.
    """

    images: int
    explained: int
    failed: int
    failures: list[tuple[str, str]]
    is_finished: bool
    is_stopped: bool
    roofline: Roofline | None = None


def run(
    sources: Sequence[Source],
    job: Job,
    out: Path,
    *,
    partition: Partition = ALL,
    engine: Engine | None = None,
    stop: threading.Event | None = None,
    retry_errors: bool = False,
    log_json: bool = False,
    profile: Path | None = None,
    prune: bool = False,
) -> Outcome:
    """Explains images and writes the folder of the run; resumes where an earlier start of it ended.

    Images are read, and results written, in threads that run in parallel to the device.

    Args:
        sources: of the images, in the order of the results.
        job: what to explain and how.
        out: the folder.
        partition: of this process.
        engine: that explains; None is this process.
        stop: once set, the batches in flight are finished and written, and no others are begun.
        retry_errors: whether to explain images again that failed.
        log_json: whether to report progress in lines of JSON.
        profile: folder for a trace of the search by JAX's profiler; the device's roofline is then measured too.
        prune: whether to drop the explanations of images that are not listed now, with their files, rather than keep
            them.

    Raises:
        ValueError: the folder holds something else or another run, or another process works in it, or it cannot be
            written, or a target is not a class of the classifier.
    """
    started = time.perf_counter()
    names = [source.name for source in sources]
    targets = targets_by_name(sources, job)
    folder = RunFolder(out, job.settings, names, allow_version_change=job.allow_version_change)
    job = dataclasses.replace(job, versions=folder.versions)
    stop = stop or threading.Event()
    with working_in(out, partition):
        journal = Journal(out, rows_per_image=job.rows_per_image)
        check_targets(sources, targets, journal, out)
        share = [(index, source) for index, source in enumerate(sources) if partition.has(index)]
        folder.begin_share(partition)
        left, messages = find_left(share, folder, journal, partition, retry_errors=retry_errors)
        for message in (*messages, *folder.sentences(prune=prune)):
            say(message, as_json=log_json)
        compiling = "compiling; with the cache, the next start of such a job need not."
        with fitting(job), saying_if_slow(compiling, as_json=log_json):
            program = compile_job(job) if left and engine is None else None
        compile_s = time.perf_counter() - started
        with ProgressReporter(len(left), as_json=log_json) as reporter:
            engine_figures: dict[str, Any] = {}
            if program is not None:
                with writing_to(out), fitting(job), _tracing(profile):
                    explain_all(
                        left,
                        targets,
                        program,
                        job,
                        out,
                        journal,
                        partition=partition,
                        notes=out / BLOCKS / f"process-{partition.index}{READING}",
                        stop=stop,
                        reporter=reporter,
                    )
            elif left and engine is not None:
                engine_figures = engine(left, journal, stop, reporter)
            figures = _figures(job, reporter, compile_s) | engine_figures
        roofline = None
        if profile is not None and program is not None and reporter.evaluations > 0:
            rate, devices = figures["evaluations_per_s"], count_devices(job.batch_size)
            roofline = measure_roofline(job.classifier, rate, micro_batch=job.micro_batch, devices=devices)
            figures["roofline"] = dataclasses.asdict(roofline)
        with writing_to(out):
            if left:
                folder.write_figures(partition, {"process": dataclasses.asdict(partition)} | figures)
            is_through = reporter.done == len(left)
            is_finished = _finish(folder, journal, partition, figures, is_through=is_through, prune=prune)
    return Outcome(
        images=len(sources),
        explained=sum(journal.is_explained(name) for name in names),
        failed=sum(journal.failed_lines(name) for name in names),
        failures=journal.failures(names, LISTED_FAILURES),
        is_finished=is_finished,
        is_stopped=stop.is_set() and not is_finished,
        roofline=roofline,
    )


def _tracing(profile: Path | None) -> contextlib.AbstractContextManager[Any]:
    """Traces the block with JAX's profiler into a folder, if there is one."""
    return contextlib.nullcontext() if profile is None else jax.profiler.trace(str(profile))


def _finish(
    folder: RunFolder,
    journal: Journal,
    partition: Partition,
    figures: Mapping[str, Any],
    *,
    is_through: bool,
    prune: bool,
) -> bool:
    """Writes the results and the page if all images of the run are done, and returns whether they are."""
    if not is_through:
        journal.scan()
        return False
    folder.say_through(partition)
    is_finished = folder.finish(journal, figures, prune=prune)
    if not is_finished and folder.are_through(partition):
        # What others have written is not seen yet, or one of them has begun again.
        journal.expected = range(partition.block_of(folder.images - 1) + 1)
        for seconds in LOOKS_S:
            time.sleep(seconds)
            is_finished = folder.finish(journal, figures, prune=prune)
            if is_finished or not folder.are_through(partition):
                break
    if is_finished:
        # Another process may finish the run too, and drop the temporary file of the page.
        with contextlib.suppress(FileNotFoundError):
            write_page(folder.path)
    return is_finished


def _figures(job: Job, reporter: ProgressReporter, compile_s: float) -> dict[str, Any]:
    """Returns the figures of a process for `run.json`."""
    seconds = reporter.seconds
    return {
        "versions": package_versions(),
        "python": platform.python_version(),
        "devices": [str(device.device_kind) for device in jax.local_devices()],
        "micro_batch": job.micro_batch,
        "batch_size": job.batch_size,
        "timings": {"compile_s": compile_s, "explain_s": seconds},
        "images_per_s": reporter.images / seconds,
        "evaluations_per_s": reporter.evaluations / seconds,
    }
