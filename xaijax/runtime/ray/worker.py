"""The actors of a run on Ray: workers that explain blocks of the input, and one that watches over them.

Nothing here imports Ray before it runs in one of its processes.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from xaijax.atomic_files import writing_to
from xaijax.runtime.device.compilation_cache import keep_compiled
from xaijax.runtime.device.cpu_devices import use_all_cores
from xaijax.runtime.executor import compile_job
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.layout import RUN
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.record import check_settings, read_record
from xaijax.runtime.partition import Partition
from xaijax.runtime.pipeline import explain_all, fitting
from xaijax.runtime.progress import ProgressReporter
from xaijax.runtime.targets import targets_by_name

TRIES = 5
"""Times that a block is begun with the same images left; whatever kills its workers is most likely one of them."""

Numbered = Sequence[tuple[int, Source]]


class Watch:
    """Tells the workers when to stop, and counts how often a block was begun in vain; its methods wait for nobody."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._listening = 0
        self._begun: dict[tuple[int, int], int] = {}

    async def stopped(self) -> None:
        """Returns once the run is to stop."""
        self._listening += 1
        await self._stop.wait()

    async def stop(self) -> int:
        """Stops the run; returns how many workers have been listening, those that were killed among them."""
        self._stop.set()
        return self._listening

    async def begin(self, block: int, left: int) -> int:
        """Returns how often a block was begun with so many images left."""
        self._begun[block, left] = self._begun.get((block, left), 0) + 1
        return self._begun[block, left]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Orders:
    """What all workers of a run are told; every node sees the same paths.

    Attributes:
        make_job: reads the weights from their path, and describes what to explain and how.
        folder: where relative paths begin.
        out: folder of the run.
        partition: tells the block of an image.
        cpus: cores that a worker may use; None is all of them.
        cache: whether compiled programs are kept in the user's cache folder of each node.
        profile: folder for a trace of each block by JAX's profiler.
        watch: handle of the run's `Watch`.
    """

    make_job: Callable[[], Job]
    folder: Path
    out: Path
    partition: Partition
    cpus: int | None
    cache: bool
    profile: Path | None
    watch: Any


class Worker:
    """Explains block after block with one compiled program, and writes what any process of the run would write.

    It is made at once and loads at its first block: what dies there is replaced, what fails there can say why.

    Args:
        orders: of the run.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._name = f"{platform.node()}:{os.getpid()}"
        self._stop = threading.Event()
        self._loaded: _Loaded | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            ray.get(self._orders.watch.stopped.remote())
            self._stop.set()

    def __call__(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Explains what is left of a block.

        Args:
            row: `block`, its number, and `images`, as JSON, with their indices in the input.

        Returns:
            `told`, in JSON: what came of the block, or the `error` for which the run has to end.
        """
        block: int = row["block"]
        told: dict[str, Any] = {"block": block, "worker": self._name}
        try:
            told |= {} if self._stop.is_set() else self._explain(block, _images(row["images"]))
        except (ValueError, OSError) as error:
            told["error"] = str(error)
        return {"told": json.dumps(told | {"is_stopped": self._stop.is_set()})}

    def _explain(self, block: int, images: Numbered) -> dict[str, Any]:
        import ray

        orders = self._orders
        loaded = self._loaded = self._loaded or _load(orders)
        job, journal = loaded.job, loaded.journal
        journal.scan_block(block)  # a worker that was killed may have begun it
        left = [(index, source) for index, source in images if not journal.is_done(source.name)]
        done = [source.name for _, source in images if journal.is_done(source.name)]
        if left and ray.get(orders.watch.begin.remote(block, len(left))) > TRIES:
            return {"given_up": [left[0][1].name, left[-1][1].name]}
        targets = targets_by_name([source for _, source in left], job)
        trace = contextlib.nullcontext() if orders.profile is None else jax.profiler.trace(str(orders.profile))
        with ProgressReporter(len(left)) as reporter, writing_to(orders.out), fitting(job), trace:
            explain_all(
                left,
                targets,
                loaded.explain,
                job,
                orders.out,
                journal,
                partition=orders.partition,
                stop=self._stop,
                reporter=reporter,
            )
        found = sum(journal.is_explained(name) for name in done)
        before = sum(line.get("evaluations", 0) for lines in journal.rows(done) for line in lines)
        return {
            "searched": found + reporter.images,
            "failed": len(done) - found + reporter.failed,
            "evaluations": before + reporter.evaluations,
            "explain_s": reporter.seconds,
            **loaded.figures,
        }


def _images(told: str) -> Numbered:
    return [(index, Source(**fields)) for index, fields in json.loads(told)]


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """What a worker needs to explain, and what it has to say of it."""

    job: Job
    journal: Journal
    explain: Any
    figures: dict[str, Any]


def _load(orders: Orders) -> _Loaded:
    """Loads and compiles.

    Raises:
        ValueError: the node does not see the folders that the others see, cannot load the classifier, or loads and
            computes something else than `run.json` says; the message names what.
    """
    started = time.perf_counter()
    try:
        os.chdir(orders.folder)
        (orders.out / RUN).stat()
    except OSError as error:
        raise ValueError(
            f"{platform.node()} does not see {error.filename!r} ({error.strerror}); start the command in a folder, and "
            "name one for the results, that all nodes of the cluster share."
        ) from error
    use_all_cores(orders.cpus)
    if orders.cache:
        keep_compiled()
    job = orders.make_job()
    check_settings(orders.out, read_record(orders.out), job.settings)
    journal = Journal(orders.out, rows_per_image=job.rows_per_image)
    with fitting(job):
        explain = compile_job(job)
    figures = {
        "devices": [str(device.device_kind) for device in jax.local_devices()],
        "micro_batch": job.micro_batch,
        "batch_size": job.batch_size,
        "compile_s": time.perf_counter() - started,
    }
    return _Loaded(job, journal, explain, figures)
