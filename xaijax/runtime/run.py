"""A run: image files in, a folder of explanations out."""

import contextlib
import dataclasses
import platform
import threading
import time
from collections.abc import Callable, Sequence
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
from xaijax.runtime.output.heartbeat import working_in
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.page import write_page
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.output.verification import Doubts, find_doubts
from xaijax.runtime.partition import ALL, Partition
from xaijax.runtime.pipeline import explain_all, fitting
from xaijax.runtime.progress import ProgressReporter, say
from xaijax.runtime.targets import check_targets, targets_by_name

TOLD = 10
"""Failures that are told one by one."""

Engine = Callable[[Sequence[tuple[int, Source]], Journal, threading.Event, ProgressReporter], dict[str, Any]]
"""Explains numbered images elsewhere, as `explain_all` does here, until none are left or the event is set; returns its
figures for `run.json`. The journal is the one of the run, as it was read before."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a run, or of one process's share of it.

    Attributes:
        images: of the input.
        explained: of them, by whichever process.
        failed: lines of the results that say an error.
        failures: path and reason of the first of these.
        is_finished: whether no image is left, so that `results.jsonl` stands.
        is_stopped: whether it was told to stop before it was through its share.
        roofline: of the images that were explained now, where they were traced.
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

    Images are read, and results written, in threads beside the device.

    Args:
        sources: of the images, in the order of the results.
        job: what to explain and how.
        out: the folder.
        partition: of this process.
        engine: that explains; None is this process.
        stop: once set, the batches in flight are finished and written, and nothing else.
        retry_errors: whether images that failed are tried again.
        log_json: whether the progress is told in lines of JSON.
        profile: folder for a trace of the search by JAX's profiler; what the devices do at most is then measured too.
        prune: whether explanations of images that are not listed now go, with their files, rather than stay.

    Raises:
        ValueError: the folder holds something else or another run, or another process works in it, or it cannot be
            written, or a target is none of the classifier's.
    """
    started = time.perf_counter()
    names = [source.name for source in sources]
    targets = targets_by_name(sources, job)
    folder = RunFolder(out, job.settings, names)
    stop = stop or threading.Event()
    roofline = None
    with working_in(out, partition):
        journal = Journal(out, rows_per_image=job.rows_per_image)
        check_targets(sources, targets, journal, out)
        with writing_to(out):
            folder.take_list(journal)
            mine = [(index, source) for index, source in enumerate(sources) if partition.has(index)]
            sentences = _mark_again(mine, journal, out, partition, retry_errors=retry_errors)
        left = [(index, source) for index, source in mine if not journal.is_done(source.name)]
        for sentence in (*sentences, *folder.sentences(prune=prune)):
            say(sentence, as_json=log_json)
        with fitting(job):
            explain = compile_job(job) if left and engine is None else None
        compiled = time.perf_counter()
        with ProgressReporter(len(left), as_json=log_json) as reporter:
            elsewhere = engine(left, journal, stop, reporter) if left and engine is not None else {}
            if explain is not None:
                trace = contextlib.nullcontext() if profile is None else jax.profiler.trace(str(profile))
                with writing_to(out), fitting(job), trace:
                    explain_all(
                        left, targets, explain, job, out, journal, partition=partition, stop=stop, reporter=reporter
                    )
            figures = _figures(job, reporter, compiled - started) | elsewhere
        if profile is not None and explain is not None and reporter.evaluations > 0:
            rate, devices = figures["evaluations_per_s"], count_devices(job.batch_size)
            roofline = measure_roofline(job.classifier, rate, micro_batch=job.micro_batch, devices=devices)
            figures["roofline"] = dataclasses.asdict(roofline)
        with writing_to(out):
            if left:
                folder.tell(partition, {"process": dataclasses.asdict(partition)} | figures)
            is_through = reporter.done == len(left)
            is_finished = is_through and folder.finish(journal, figures, prune=prune)
            if not is_through:
                journal.scan()
            if is_finished:
                # Another process may have finished it too, and dropped what was half written.
                with contextlib.suppress(FileNotFoundError):
                    write_page(out)
    return Outcome(
        images=len(sources),
        explained=sum(journal.is_explained(name) for name in names),
        failed=sum(journal.failed_lines(name) for name in names),
        failures=journal.failures(names, TOLD),
        is_finished=is_finished,
        is_stopped=stop.is_set() and not is_finished,
        roofline=roofline,
    )


def _mark_again(
    mine: Sequence[tuple[int, Source]], journal: Journal, out: Path, partition: Partition, *, retry_errors: bool
) -> list[str]:
    """Marks the images that are to be explained again, for all processes, and returns what is to be said of them."""
    doubts = _doubts([source for _, source in mine], journal, out)
    again = {*doubts.changed, *doubts.lost}
    of_blocks: dict[int, list[str]] = {}
    for index, source in mine:
        if source.name in again or (retry_errors and journal.failed_lines(source.name)):
            of_blocks.setdefault(partition.block_of(index), []).append(source.name)
    for block, paths in of_blocks.items():
        journal.mark(block, paths)
    return [*journal.sentences(), *doubts.sentences()]


def _doubts(sources: Sequence[Source], journal: Journal, out: Path) -> Doubts:
    """Looks at those of the images that are explained."""
    while True:
        try:
            return find_doubts([source for source in sources if journal.is_done(source.name)], journal, out)
        except OSError:  # another process has merged the journal
            journal.scan()


def _figures(job: Job, reporter: ProgressReporter, compile_s: float) -> dict[str, Any]:
    """Returns what `run.json` says of how a process ran."""
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
