"""A run: image files in, a folder of explanations out."""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import itertools
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from xaijax.classifier import Classifier
from xaijax.evaluation import micro_batch_size
from xaijax.explain import Method, compiled_explain
from xaijax.explanation import Explanation, Status
from xaijax.fitness import Targets
from xaijax.methods.arguments import find_targets, image_id, parse_top, split_id
from xaijax.methods.batch import Batch
from xaijax.models.preprocessing import crop_box, preprocess
from xaijax.report.page import write_page
from xaijax.runtime.folder import RunFolder
from xaijax.runtime.journal import Journal
from xaijax.runtime.pipeline import Behind, ahead
from xaijax.runtime.reading import UnreadableImageError, read_image
from xaijax.runtime.rows import Save, file_stem, result_row, write_files
from xaijax.runtime.share import ALL, Share
from xaijax.sharding import count_devices

READERS = 4
"""Threads that read images; Pillow decodes and resizes without Python's lock."""

TOLD = 10
"""Failures that are told one by one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a run explains, and how.

    Attributes:
        classifier: any.
        method: how to explain.
        target: the class explained; -1 for the predicted one, "topK" for the K most probable ones.
        against: the class that it is told from, "runner-up" for the most probable other one; None for all others.
        seed: of the run's key.
        batch_size: images a compiled call.
        save: what to write beside `results.jsonl`.
        settings: what makes two runs the same, for `run.json`.
    """

    classifier: Classifier
    method: Method
    target: int | str
    against: int | str | None = None
    seed: int
    batch_size: int
    save: Sequence[Save]
    settings: dict[str, Any]

    @property
    def rows_per_image(self) -> int:
        """Classes explained of each image."""
        return parse_top(self.target) or 1

    @property
    def micro_batch(self) -> int:
        """Masked images a forward pass."""
        shape = (*self.classifier.input_size, self.classifier.channels)
        return micro_batch_size(shape, jax.default_backend())


@dataclasses.dataclass(frozen=True)
class Item:
    """An image of a run, read, or the reason why it could not be."""

    index: int
    path: Path
    sha256: str = ""
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    pixels: np.ndarray | None = None
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
    paths: Sequence[Path],
    job: Job,
    out: Path,
    *,
    share: Share = ALL,
    stop: threading.Event | None = None,
    retry_errors: bool = False,
) -> Outcome:
    """Explains image files and writes the folder of the run; resumes where an earlier start of it ended.

    Images are read, and results written, in threads beside the device.

    Args:
        paths: of the images, in the order of the results.
        job: what to explain and how.
        out: the folder.
        share: of this process.
        stop: once set, the batches in flight are finished and written, and nothing else.
        retry_errors: whether images that failed are tried again.

    Raises:
        ValueError: the folder holds another run, or cannot be written.
    """
    started = time.perf_counter()
    folder = RunFolder(out, job.settings, images=len(paths))
    journal = Journal(out, rows_per_image=job.rows_per_image, retry_errors=retry_errors)
    names = [str(path) for path in paths]
    left = [(i, path) for i, path in enumerate(paths) if share.has(i) and not journal.is_done(names[i])]
    explain = _compile(job) if left else None
    compiled = time.perf_counter()
    stop = stop or threading.Event()
    done = Done()
    hidden = None if sys.stderr.isatty() else True
    with tqdm(total=len(left), unit="image", disable=hidden, file=sys.stderr) as bar, Behind(1) as behind:

        def write(batch: list[Item], failed: list[Item], result: Explanation | None) -> None:
            rows = {item.index: [_failure(item, job.seed, item.error)] for item in failed}
            if result is not None:
                rows |= _explained(batch, jax.device_get(result), job, out, journal)
            for index, lines in rows.items():
                journal.add(share.block_of(index), lines)
            done.evaluations += sum(row.get("evaluations", 0) for lines in rows.values() for row in lines)
            done.searched += len(batch)
            bar.update(len(rows))

        read = ahead(
            functools.partial(_read, classifier=job.classifier), left, workers=READERS, room=2 * job.batch_size
        )
        with contextlib.closing(read):
            for batch, failed in _batches(read, job.batch_size):
                if stop.is_set():
                    break
                result = explain(batch) if batch and explain is not None else None
                behind.do(write, batch, failed, result)
    seconds = time.perf_counter() - compiled
    figures = {
        "versions": {name: importlib.metadata.version(name) for name in ("xaijax", "jax", "jaxlib", "flax", "numpy")},
        "python": platform.python_version(),
        "devices": [str(device.device_kind) for device in jax.local_devices()],
        "micro_batch": job.micro_batch,
        "batch_size": job.batch_size,
        "images": len(paths),
        "timings": {"compile_s": compiled - started, "explain_s": seconds},
        "images_per_s": done.searched / seconds,
        "evaluations_per_s": done.evaluations / seconds,
    }
    if left:
        folder.tell(share, {"process": dataclasses.asdict(share)} | figures)
    is_finished = folder.finish(journal, names, figures)
    if is_finished:
        write_page(out)
    return Outcome(
        images=len(paths),
        explained=sum(journal.is_explained(name) for name in names),
        failed=sum(journal.failed_lines(name) for name in names),
        failures=list(itertools.islice(journal.failures(names), TOLD)),
        is_finished=is_finished,
        is_stopped=stop.is_set() and not is_finished,
    )


@dataclasses.dataclass
class Done:
    """What a process has done so far."""

    evaluations: int = 0
    searched: int = 0


def _read(numbered: tuple[int, Path], classifier: Classifier) -> Item:
    index, path = numbered
    try:
        image = read_image(path, classifier.channels)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (UnreadableImageError, OSError) as error:
        return Item(index, path, error=str(error))
    return Item(index, path, digest, crop_box(image.size, classifier), preprocess(image, classifier))


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


def _compile(job: Job) -> Callable[[list[Item]], Explanation]:
    """Compiles the search for a whole batch and returns what runs it on as many images as there are, up to that."""
    devices = count_devices(job.batch_size)
    size, each = -(-job.batch_size // devices) * devices, job.rows_per_image
    shape = (*job.classifier.input_size, job.classifier.channels)
    key = jax.random.key(job.seed)
    target = job.target if isinstance(job.target, str) else np.full((size,), job.target, np.int32)
    source: Any = np.repeat(np.arange(size, dtype=np.int32), each)

    def arguments(items: list[Item]) -> tuple[Any, ...]:
        images: Any = np.zeros((size, *shape), np.uint8)
        words = np.zeros((size, 2), np.uint32)
        for place, item in enumerate(items):
            assert item.pixels is not None
            images[place] = item.pixels
            words[place] = split_id(image_id(item.pixels))
        explained, others = find_targets(target, job.against, job.classifier, images, job.micro_batch)
        batch = Batch(
            images=images,
            targets=Targets(explained=explained, against=others),
            active=jnp.asarray((source < len(items)) & ((explained != others) | (others < 0))),
            source=source if each > 1 else None,
        )
        return key, words[source], job.classifier, batch

    program = compiled_explain.lower(*arguments([]), job.method, job.micro_batch, devices).compile()
    return lambda batch: program(*arguments(batch))


def _explained(
    batch: list[Item], result: Explanation, job: Job, out: Path, journal: Journal
) -> dict[int, list[dict[str, Any]]]:
    """Writes the files of a batch and returns the lines of each image, by its place in the input."""
    rows: dict[int, list[dict[str, Any]]] = {}
    each = job.rows_per_image
    for place, item in enumerate(batch):
        assert item.pixels is not None
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
            stem = file_stem(item.index * each + row % each, item.path)
            if journal.is_taken(stem, str(item.path)):
                stem = f"{stem}_{item.sha256[:8]}"
            line = {"path": str(item.path), "sha256": item.sha256, "crop": item.crop, **found, "seed": job.seed}
            write_files(out, stem, item.pixels, result, row, line, job.save)
            lines.append(line | {"files": stem})
    return rows


def _failure(item: Item, seed: int, error: str) -> dict[str, Any]:
    digest = {"sha256": item.sha256} if item.sha256 else {}
    return {"path": str(item.path), **digest, "seed": seed, "error": error}
