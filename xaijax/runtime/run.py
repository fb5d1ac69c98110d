"""A run: image files in, a folder of explanations out."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import itertools
import platform
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.models.preprocessing import crop_box, preprocess
from xaijax.report.page import write_page
from xaijax.runtime.folder import RunFolder
from xaijax.runtime.inputs import Source
from xaijax.runtime.job import Job, Program, Request, compile_job
from xaijax.runtime.journal import Journal
from xaijax.runtime.pipeline import Behind, ahead
from xaijax.runtime.reading import UnreadableImageError
from xaijax.runtime.rows import file_stem, result_row, write_files
from xaijax.runtime.share import ALL, Share
from xaijax.runtime.targets import find_class
from xaijax.runtime.telling import Teller

READERS = 4
"""Threads that read images; Pillow decodes and resizes without Python's lock."""

TOLD = 10
"""Failures that are told one by one."""


@dataclasses.dataclass(frozen=True)
class Item:
    """An image of a run, read, or the reason why it could not be."""

    index: int
    source: Source
    sha256: str = ""
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
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
        stop: once set, the batches in flight are finished and written, and nothing else.
        retry_errors: whether images that failed are tried again.
        log_json: whether the progress is told in lines of JSON.
        profile: folder for a trace of the search by JAX's profiler.

    Raises:
        ValueError: the folder holds another run, or cannot be written, or a target is none of the classifier's.
    """
    started = time.perf_counter()
    names = [source.name for source in sources]
    targets = _find_targets(sources, job)
    folder = RunFolder(out, job.settings, images=len(sources))
    journal = Journal(out, rows_per_image=job.rows_per_image, retry_errors=retry_errors)
    left = [(i, source) for i, source in enumerate(sources) if share.has(i) and not journal.is_done(source.name)]
    explain = compile_job(job) if left else None
    compiled = time.perf_counter()
    stop = stop or threading.Event()
    with Teller(len(left), as_json=log_json) as teller:
        if explain is not None:
            trace = contextlib.nullcontext() if profile is None else jax.profiler.trace(str(profile))
            with _writing_to(out), trace:
                _explain_all(left, targets, explain, job, out, journal, share=share, stop=stop, teller=teller)
        seconds = teller.seconds
    figures = {
        "versions": {name: importlib.metadata.version(name) for name in ("xaijax", "jax", "jaxlib", "flax", "numpy")},
        "python": platform.python_version(),
        "devices": [str(device.device_kind) for device in jax.local_devices()],
        "micro_batch": job.micro_batch,
        "batch_size": job.batch_size,
        "images": len(sources),
        "timings": {"compile_s": compiled - started, "explain_s": seconds},
        "images_per_s": teller.images / seconds,
        "evaluations_per_s": teller.evaluations / seconds,
    }
    with _writing_to(out):
        if left:
            folder.tell(share, {"process": dataclasses.asdict(share)} | figures)
        is_finished = folder.finish(journal, names, figures)
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
def _writing_to(out: Path) -> Iterator[None]:
    """Says what cannot be written, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"cannot write to {str(out)!r} ({reason}); mend it, and the same command goes on.") from error


def _explain_all(
    left: Sequence[tuple[int, Source]],
    targets: Mapping[str, int],
    explain: Program,
    job: Job,
    out: Path,
    journal: Journal,
    *,
    share: Share,
    stop: threading.Event,
    teller: Teller,
) -> None:
    """Explains numbered images until there are none left, or `stop` is set; reads and writes beside the device."""

    def write(batch: list[Item], failed: list[Item], result: Explanation | None) -> None:
        rows = {item.index: [_failure(item, job.seed, item.error)] for item in failed}
        if result is not None:
            rows |= _explained(batch, jax.device_get(result), job, out, journal)
        for index, lines in rows.items():
            journal.add(share.block_of(index), lines)
        evaluations = sum(row.get("evaluations", 0) for lines in rows.values() for row in lines)
        teller.add(searched=len(batch), failed=len(failed), evaluations=evaluations)

    read = functools.partial(_read, classifier=job.classifier, targets=targets)
    with Behind(1) as behind, contextlib.closing(ahead(read, left, workers=READERS, room=2 * job.batch_size)) as items:
        for batch, failed in _batches(items, job.batch_size):
            if stop.is_set():
                break
            behind.do(write, batch, failed, explain([asked(item) for item in batch]) if batch else None)


def _find_targets(sources: Sequence[Source], job: Job) -> dict[str, int]:
    """Returns the class that each target among the sources names."""
    named = {source.target for source in sources if source.target is not None}
    if named and isinstance(job.target, str):
        raise ValueError(f"the list of images names targets, but target is {job.target!r}; leave one of them out.")
    return {target: find_class(target, job.classifier) for target in named}


def _read(numbered: tuple[int, Source], classifier: Classifier, targets: Mapping[str, int]) -> Item:
    index, source = numbered
    try:
        image, digest = source.read(classifier.channels)
    except (UnreadableImageError, OSError) as error:
        return Item(index, source, error=str(error))
    target = None if source.target is None else targets[source.target]
    request = Request(preprocess(image, classifier), target, source.id)
    return Item(index, source, digest, crop_box(image.size, classifier), request)


def asked(item: Item) -> Request:
    """Returns what is asked of an image that was read."""
    assert item.request is not None
    return item.request


def _batches(items: Iterator[Item], size: int) -> Iterator[tuple[list[Item], list[Item]]]:
    """Yields runs of at most `size` good images, each with the bad ones that came between."""
    good: list[Item] = []
    bad: list[Item] = []
    for item in items:
        (bad if item.error else good).append(item)
        if len(good) == size:
            yield good, bad
            good, bad = [], []
    if good or bad:
        yield good, bad


def _explained(
    batch: list[Item], result: Explanation, job: Job, out: Path, journal: Journal
) -> dict[int, list[dict[str, Any]]]:
    """Writes the files of a batch and returns the lines of each image, by its place in the input."""
    rows: dict[int, list[dict[str, Any]]] = {}
    each = job.rows_per_image
    for place, item in enumerate(batch):
        rows[item.index] = lines = []
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
            line = {"path": item.source.name, "sha256": item.sha256, "crop": item.crop, **found, "seed": job.seed}
            write_files(out, stem, asked(item).pixels, result, row, line, job.save)
            lines.append(line | {"files": stem})
    return rows


def _failure(item: Item, seed: int, error: str) -> dict[str, Any]:
    digest = {"sha256": item.sha256} if item.sha256 else {}
    return {"path": item.source.name, **digest, "seed": seed, "error": error}
