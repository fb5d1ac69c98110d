"""A run: image files in, a folder of explanations out."""

import contextlib
import dataclasses
import functools
import itertools
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.models.preprocessing import crop_box, preprocess
from xaijax.report.page import write_page
from xaijax.runtime.folder import RunFolder
from xaijax.runtime.inputs import Source
from xaijax.runtime.job import Explained, Job, Program, Request, compile_job
from xaijax.runtime.journal import Journal
from xaijax.runtime.packed import pack
from xaijax.runtime.pipeline import Behind, ahead
from xaijax.runtime.reading import UnreadableImageError
from xaijax.runtime.rows import Box, file_stem, kept_box, result_row, write_files
from xaijax.runtime.share import ALL, Share
from xaijax.runtime.targets import find_class
from xaijax.runtime.telling import Teller
from xaijax.runtime.versions import package_versions

READERS = 4
"""Threads that read images; Pillow decodes and resizes without Python's lock."""

TOLD = 10
"""Failures that are told one by one."""

Engine = Callable[[Sequence[tuple[int, Source]], threading.Event, Teller], dict[str, Any]]
"""Explains numbered images elsewhere, as `explain_all` does here, until none are left or the event is set; returns its
figures for `run.json`."""


@dataclasses.dataclass(frozen=True)
class Item:
    """An image of a run, read, or the reason why it could not be."""

    index: int
    source: Source
    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    crop: Box = (0, 0, 0, 0)
    request: Request | None = None
    error: str = ""


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
    """

    images: int
    explained: int
    failed: int
    failures: list[tuple[str, str]]
    is_finished: bool
    is_stopped: bool


def run(
    sources: Sequence[Source],
    job: Job,
    out: Path,
    *,
    share: Share = ALL,
    engine: Engine | None = None,
    stop: threading.Event | None = None,
    retry_errors: bool = False,
    log_json: bool = False,
    profile: Path | None = None,
) -> Outcome:
    """Explains images and writes the folder of the run; resumes where an earlier start of it ended.

    Images are read, and results written, in threads beside the device.

    Args:
        sources: of the images, in the order of the results.
        job: what to explain and how.
        out: the folder.
        share: of this process.
        engine: that explains; None is this process.
        stop: once set, the batches in flight are finished and written, and nothing else.
        retry_errors: whether images that failed are tried again.
        log_json: whether the progress is told in lines of JSON.
        profile: folder for a trace of the search by JAX's profiler.

    Raises:
        ValueError: the folder holds another run, or cannot be written, or a target is none of the classifier's.
    """
    started = time.perf_counter()
    names = [source.name for source in sources]
    targets = find_targets(sources, job)
    folder = RunFolder(out, job.settings, names)
    journal = Journal(out, rows_per_image=job.rows_per_image, retry_errors=retry_errors)
    _check_targets(sources, targets, journal, out)
    left = [(i, source) for i, source in enumerate(sources) if share.has(i) and not journal.is_done(source.name)]
    with fitting(job):
        explain = compile_job(job) if left and engine is None else None
    compiled = time.perf_counter()
    stop = stop or threading.Event()
    with Teller(len(left), as_json=log_json) as teller:
        elsewhere = engine(left, stop, teller) if left and engine is not None else {}
        if explain is not None:
            trace = contextlib.nullcontext() if profile is None else jax.profiler.trace(str(profile))
            with writing_to(out), fitting(job), trace:
                explain_all(left, targets, explain, job, out, journal, share=share, stop=stop, teller=teller)
        seconds = teller.seconds
    figures = {
        "versions": package_versions(),
        "python": platform.python_version(),
        "devices": [str(device.device_kind) for device in jax.local_devices()],
        "micro_batch": job.micro_batch,
        "batch_size": job.batch_size,
        "timings": {"compile_s": compiled - started, "explain_s": seconds},
        "images_per_s": teller.images / seconds,
        "evaluations_per_s": teller.evaluations / seconds,
        **elsewhere,
    }
    with writing_to(out):
        if left:
            folder.tell(share, {"process": dataclasses.asdict(share)} | figures)
        is_finished = folder.finish(journal, figures)
        if is_finished:
            # Another process may have finished it too, and dropped what was half written.
            with contextlib.suppress(FileNotFoundError):
                write_page(out)
    return Outcome(
        images=len(sources),
        explained=sum(journal.is_explained(name) for name in names),
        failed=sum(journal.failed_lines(name) for name in names),
        failures=list(itertools.islice(journal.failures(names), TOLD)),
        is_finished=is_finished,
        is_stopped=stop.is_set() and not is_finished,
    )


@contextlib.contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Says what cannot be written, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"cannot write to {str(out)!r} ({reason}); mend it, and the same command goes on.") from error


@contextlib.contextmanager
def fitting(job: Job) -> Iterator[None]:
    """Says what to do where a device's memory does not hold a batch; the micro-batch, which results rest on, stays."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        size, devices = job.batch_size, len(jax.local_devices())
        remedy = (
            f"the same command with --batch-size {size // 2} goes on." if size > devices else "take a smaller model."
        )
        raise ValueError(
            f"{size} images at a time do not fit into the memory of {devices} device(s); {remedy}"
        ) from error


def explain_all(
    left: Sequence[tuple[int, Source]],
    targets: Mapping[str, int],
    explain: Program[Item],
    job: Job,
    out: Path,
    journal: Journal,
    *,
    share: Share,
    stop: threading.Event,
    teller: Teller,
) -> None:
    """Explains numbered images until there are none left, or `stop` is set; reads and writes beside the device.

    Args:
        left: images by their place in the input.
        targets: the class that each target among them names.
        explain: the compiled program of the job.
        job: what to explain and how.
        out: the folder of the run.
        journal: of the run; the lines of an image go to its block's.
        share: tells the block of an image.
        stop: once set, the batches in flight are finished and written, and nothing else.
        teller: is told of every image.
    """

    def write_failure(item: Item) -> None:
        journal.add(share.block_of(item.index), [_failure(item, job.seed, item.error)])
        teller.add(searched=0, failed=1, evaluations=0)

    def write(items: list[Item], explained: Explained) -> None:
        rows = _explained(items, explained.places, jax.device_get(explained.result), job, out, journal)
        for item, lines in zip(items, rows, strict=True):
            journal.add(share.block_of(item.index), lines)
        evaluations = sum(line.get("evaluations", 0) for lines in rows for line in lines)
        teller.add(searched=len(items), failed=0, evaluations=evaluations)

    read = functools.partial(_read, classifier=job.classifier, targets=targets)
    with Behind(1) as behind, contextlib.closing(ahead(read, left, workers=READERS, room=2 * job.batch_size)) as items:

        def readable() -> Iterator[tuple[Item, Request]]:
            for item in items:
                if stop.is_set():
                    return
                if item.request is None:
                    behind.do(write_failure, item)
                else:
                    yield item, item.request

        for explained in explain(readable()):
            behind.do(write, *explained)


def find_targets(sources: Sequence[Source], job: Job) -> dict[str, int]:
    """Returns the class that each target among the sources names."""
    named = {source.target for source in sources if source.target is not None}
    if named and isinstance(job.target, str):
        raise ValueError(f"the list of images names targets, but target is {job.target!r}; leave one of them out.")
    return {target: find_class(target, job.classifier) for target in named}


def _check_targets(sources: Sequence[Source], targets: Mapping[str, int], journal: Journal, out: Path) -> None:
    """Refuses a list that asks two things of an image, or another one than was explained."""
    asked: dict[str, str] = {}
    for source in sources:
        if source.target is None:
            continue
        if asked.setdefault(source.name, source.target) != source.target:
            raise ValueError(f"the list asks for two classes of {source.name!r}; make two lists, each with its folder.")
        explained = journal.targets(source.name)
        if explained and targets[source.target] not in explained:
            raise ValueError(
                f"{str(out)!r} explains another class of {source.name!r} than the list asks for now; name another "
                "folder, or the same target."
            )


def _read(numbered: tuple[int, Source], classifier: Classifier, targets: Mapping[str, int]) -> Item:
    index, source = numbered
    try:
        image, digest = source.read(classifier.channels)
    except (UnreadableImageError, OSError) as error:
        return Item(index, source, error=str(error))
    target = None if source.target is None else targets[source.target]
    request = Request(preprocess(image, classifier), target, source.id)
    return Item(index, source, digest, image.size, crop_box(image.size, classifier), request)


def _explained(
    items: list[Item], places: Sequence[int], result: Explanation, job: Job, out: Path, journal: Journal
) -> list[list[dict[str, Any]]]:
    """Writes the files of some images and returns the lines of each."""
    rows = []
    each = job.rows_per_image
    for place, item in zip(places, items, strict=True):
        assert item.request is not None
        lines: list[dict[str, Any]] = []
        rows.append(lines)
        for row in range(place * each, (place + 1) * each):
            found = result_row(result, row, job.classifier)
            if getattr(job.method, "game", "preservation") == "deletion":
                found["game"] = "deletion"
            if found["target"] == int(result.against[row]) >= 0:
                found["error"] = "The class explained is the one that it was to be told from; name another."
            elif Status(int(result.status[row])).is_failure:
                found["error"] = found["status"]
            if "error" in found:
                told = {"target": found["target"]} if each > 1 else {}
                lines.append(_failure(item, job.seed, found["error"]) | told)
                continue
            stem = file_stem(item.index * each + row % each, item.source.stem)
            if journal.is_taken(stem, item.source.name):
                stem = f"{stem}_{item.sha256[:8]}"
            box = kept_box(np.asarray(result.mask[row]), item.crop, item.size)
            where = {"size": item.size, "crop": item.crop, "box": box}
            line = {"path": item.source.name, "sha256": item.sha256, **where, **found, "seed": job.seed}
            read = functools.partial(_read_again, item.source, job.classifier.channels)
            try:
                write_files(out, stem, item.request.pixels, result, row, line, job.save, read)
            except UnreadableImageError as error:
                lines.append(_failure(item, job.seed, f"It was explained, but cannot be read again: {error}"))
                continue
            packed = {"packed": pack(result, row)} if "packed" in job.save else {}
            lines.append(line | {"files": stem} | packed)
    return rows


def _read_again(source: Source, channels: int) -> Image.Image:
    return source.read(channels)[0]


def _failure(item: Item, seed: int, error: str) -> dict[str, Any]:
    digest = {"sha256": item.sha256} if item.sha256 else {}
    return {"path": item.source.name, **digest, "seed": seed, "error": error}
