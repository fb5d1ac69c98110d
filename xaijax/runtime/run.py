"""A run: image files in, a folder of explanations out."""

import dataclasses
import hashlib
import importlib.metadata
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
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
from xaijax.runtime.reading import UnreadableImageError, read_image
from xaijax.runtime.rows import Save, file_stem, result_row, write_files


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


def run(paths: Sequence[Path], job: Job, out: Path) -> list[dict[str, Any]]:
    """Explains image files and writes the folder of the run; resumes where an earlier start of it ended.

    Args:
        paths: of the images, in the order of the results.
        job: what to explain and how.
        out: the folder.

    Returns:
        The lines of `results.jsonl`; a line with `error` has no explanation.

    Raises:
        ValueError: the folder holds another run, or cannot be written.
    """
    started = time.perf_counter()
    folder = RunFolder(out, job.settings)
    rows = {str(path): folder.done[str(path)] for path in paths if _is_done(folder.done.get(str(path), []), job)}
    left = [(index, path) for index, path in enumerate(paths) if str(path) not in rows]
    taken = {row["files"] for lines in rows.values() for row in lines if "files" in row}
    explain = _compile(job) if left else None
    compiled = time.perf_counter()
    evaluations = searched = 0
    with tqdm(total=len(left), unit="image", disable=None if sys.stderr.isatty() else True, file=sys.stderr) as bar:
        for batch, failed in _batches(_read(left, job.classifier), job.batch_size):
            new = {str(item.path): [_failure(item, job.seed, item.error)] for item in failed}
            if batch and explain is not None:
                new |= _explained(batch, explain(batch), job, out, taken)
                evaluations += sum(row.get("evaluations", 0) for lines in new.values() for row in lines)
                searched += len(batch)
            for lines in new.values():
                folder.add(lines)
            rows |= new
            bar.update(len(new))
    ordered = [row for path in paths for row in rows[str(path)]]
    seconds = time.perf_counter() - compiled
    told = {
        "versions": {name: importlib.metadata.version(name) for name in ("xaijax", "jax", "jaxlib", "flax", "numpy")},
        "python": platform.python_version(),
        "devices": [str(device.device_kind) for device in jax.local_devices()],
        "micro_batch": job.micro_batch,
        "batch_size": job.batch_size,
        "images": len(paths),
        "errors": sum("error" in row for row in ordered),
        "timings": {"compile_s": compiled - started, "explain_s": seconds},
        "images_per_s": searched / seconds,
        "evaluations_per_s": evaluations / seconds,
    }
    folder.finish(ordered, told)
    write_page(out)
    return ordered


def _read(items: Iterable[tuple[int, Path]], classifier: Classifier) -> Iterator[Item]:
    for index, path in items:
        try:
            image = read_image(path, classifier.channels)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except (UnreadableImageError, OSError) as error:
            yield Item(index, path, error=str(error))
            continue
        yield Item(index, path, digest, crop_box(image.size, classifier), preprocess(image, classifier))


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


def _is_done(lines: list[dict[str, Any]], job: Job) -> bool:
    """Whether an earlier start wrote all the lines of an image."""
    return len(lines) == job.rows_per_image or any("error" in line and "target" not in line for line in lines)


def _compile(job: Job) -> Callable[[list[Item]], Explanation]:
    """Compiles the search for a whole batch and returns what runs it on as many images as there are, up to that."""
    size, shape, each = job.batch_size, (*job.classifier.input_size, job.classifier.channels), job.rows_per_image
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

    program = compiled_explain.lower(*arguments([]), job.method, job.micro_batch).compile()
    return lambda batch: jax.device_get(program(*arguments(batch)))


def _explained(
    batch: list[Item], result: Explanation, job: Job, out: Path, taken: Set[str]
) -> dict[str, list[dict[str, Any]]]:
    """Writes the files of a batch and returns the lines of each image; `taken` names files of an earlier start."""
    rows: dict[str, list[dict[str, Any]]] = {}
    each = job.rows_per_image
    for place, item in enumerate(batch):
        assert item.pixels is not None
        rows[str(item.path)] = lines = []
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
            if stem in taken:  # by another image: the list of images has changed since
                stem = f"{stem}_{item.sha256[:8]}"
            line = {"path": str(item.path), "sha256": item.sha256, "crop": item.crop, **found, "seed": job.seed}
            write_files(out, stem, item.pixels, result, row, line, job.save)
            lines.append(line | {"files": stem})
    return rows


def _failure(item: Item, seed: int, error: str) -> dict[str, Any]:
    digest = {"sha256": item.sha256} if item.sha256 else {}
    return {"path": str(item.path), **digest, "seed": seed, "error": error}
