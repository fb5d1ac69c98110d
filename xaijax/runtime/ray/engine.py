"""The engine for clusters that come and go: the blocks of a run, given one by one to the actors of a Ray cluster."""

import collections
import dataclasses
import functools
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.partition import Partition
from xaijax.runtime.progress import ProgressReporter
from xaijax.runtime.ray.cluster import Pool, find_pool, import_ray, living_nodes
from xaijax.runtime.ray.worker import Blocks, Worker

TRIES = 5
"""Workers that die at a block with the same images left, most likely of one of these, or in a row while they load."""

ZEROES = {"searched": 0, "failed": 0, "evaluations": 0, "explain_s": 0.0}
"""Of a worker's figures, those that its blocks add up to."""

LOOK_S = 0.5
"""Seconds at most between two looks at whether the run is to stop, and at how large the cluster is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RayEngine:
    """Explains the blocks of a run in the actors of a Ray cluster; an `Engine` of `xaijax.runtime.run`.

    An actor that dies is replaced, and its block done again from its journal. All nodes see the images, the weights and
    the folder of the run under the same paths as this process, and have xaijax installed.

    Attributes:
        make_job: what each actor explains and how; it travels, so it holds options and no arrays.
        out: folder of the run.
        partition: the size of a block.
        workers: actors; None is as many as the cluster has room for, also when it grows or shrinks.
        cache: whether compiled programs are kept in the user's cache folder of each node.
        profile: folder for a trace of each block by JAX's profiler.

    Raises:
        ValueError: the number of workers is none.
    """

    make_job: Callable[[], Job]
    out: Path
    partition: Partition
    workers: int | None = None
    cache: bool = True
    profile: Path | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"processes is {self.workers} but must be at least 1.")

    @functools.cached_property
    def _pool(self) -> Pool:
        return find_pool(living_nodes(), self.workers)

    @property
    def platform(self) -> str:
        """Of the devices that the actors take: "gpu" or "cpu"; the caller is connected to a cluster."""
        return "gpu" if self._pool.gpus else "cpu"

    def __call__(
        self, left: Sequence[tuple[int, Source]], journal: Journal, stop: threading.Event, reporter: ProgressReporter
    ) -> dict[str, Any]:
        """Explains numbered images until there are none left, or `stop` is set; the caller is connected to a cluster.

        Raises:
            ValueError: a node cannot load or write, the cluster gave up, or a block killed all who began it.
        """
        ray = import_ray()
        by_block = itertools.groupby(left, key=lambda numbered: self.partition.block_of(numbered[0]))
        blocks = {block: list(images) for block, images in by_block}
        scheduler = Scheduler(self._actor_factory(blocks), blocks, journal, reporter)
        try:
            while True:
                if stop.is_set():
                    scheduler.stop()
                # One more than there is room for makes a cluster grow.
                scheduler.scale(self.workers or self._pool.room(living_nodes()) + 1)
                if not scheduler.calls:
                    break
                scheduler.wait()
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ValueError):
                raise error.cause from None  # a sentence; without the actor's traceback
            cause = getattr(error, "cause", error)
            raise RuntimeError(f"a worker broke: {type(cause).__name__}: {cause}") from error
        except ray.exceptions.RayError as error:
            raise ValueError(f"the Ray cluster gave up ({_reason(error)}); the same command goes on.") from error
        finally:
            scheduler.kill()
        if not stop.is_set():
            scheduler.check()
        return scheduler.figures(reporter.seconds)

    def _actor_factory(self, blocks: Blocks) -> Callable[[], Any]:
        """Returns what asks the cluster for one more actor."""
        ray = import_ray()
        # Two calls at a time, so that `stop` is heard beside `explain`.
        actor = ray.remote(Worker).options(num_cpus=self._pool.cpus, num_gpus=self._pool.gpus, max_concurrency=2)
        return functools.partial(
            actor.remote,
            blocks=ray.put(blocks),
            make_job=self.make_job,
            folder=Path.cwd(),
            out=self.out,
            partition=self.partition,
            cpus=self._pool.cpus,
            cache=self.cache,
            profile=self.profile,
        )


class Scheduler:
    """Gives blocks to actors; each of them loads or explains, and is killed once there is no block for it.

    Args:
        start_actor: asks for one more actor.
        blocks: to explain.
        journal: of the run.
        reporter: is told of each block.

    Attributes:
        calls: what is in flight: the actor, and the block that it explains, or None where it is asked for or loads.
    """

    def __init__(
        self, start_actor: Callable[[], Any], blocks: Blocks, journal: Journal, reporter: ProgressReporter
    ) -> None:
        self.calls: dict[Any, tuple[Any, int | None]] = {}
        self._ray = import_ray()
        self._start_actor = start_actor
        self._blocks = blocks
        self._left = collections.deque(blocks)
        self._journal = journal
        self._reporter = reporter
        self._workers: dict[Any, dict[str, Any]] = {}
        self._failed_loads = 0  # deaths while loading, one after the other, since anyone got on
        self._excused: set[Any] = set()  # in flight at the last of these, and may share its cause
        self._deaths: collections.Counter[tuple[int, int]] = collections.Counter()  # by block and images left
        self._given_up: list[list[str]] = []

    def stop(self) -> None:
        """Begins no more blocks, and has those that are being explained end with the batches in flight."""
        self._left.clear()
        for actor, block in self.calls.values():
            if block is not None:
                actor.stop.remote()

    def scale(self, size: int) -> None:
        """Asks for actors up to a number, or one a block; once no block is left, those that have none are killed."""
        if not self._left:
            self.kill([call for call, (_, block) in self.calls.items() if block is None])
        explaining = sum(block is not None for _, block in self.calls.values())
        for _ in range(len(self.calls), min(size, len(self._left) + explaining)):
            actor = self._start_actor()
            self.calls[actor.load.remote()] = actor, None

    def kill(self, calls: Sequence[Any] | None = None) -> None:
        """Ends what is in flight, or some of it, and the actors with it."""
        for call in [*self.calls] if calls is None else calls:
            self._ray.kill(self.calls.pop(call)[0])

    def wait(self) -> None:
        """Waits for an actor to end what it does, `LOOK_S` at most, and gives it the next block.

        Raises:
            ValueError: nobody can load.
        """
        died = self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError
        for call in self._ray.wait([*self.calls], timeout=LOOK_S)[0]:
            actor, block = self.calls[call]
            try:
                self._add_figures(actor, block, self._ray.get(call))
            except died as error:
                self.kill([call])  # it may be out of reach, and alive
                self._add_death(call, block, error)
                continue
            del self.calls[call]
            if self._left:
                block = self._left.popleft()
                self.calls[actor.explain.remote(block)] = actor, block
            else:
                self._ray.kill(actor)

    def _add_death(self, call: Any, block: int | None, error: Exception) -> None:
        if block is None:
            if call not in self._excused:
                self._failed_loads, self._excused = self._failed_loads + 1, {*self.calls}
            if self._failed_loads >= TRIES and all(block is None for _, block in self.calls.values()):
                raise ValueError(
                    f"{TRIES} workers in a row died while they loaded ({_reason(error)}); look at the memory of the "
                    "nodes, and at what is installed on them. The same command goes on."
                )
            return
        self._journal.scan_block(block)
        names = [source.name for _, source in self._blocks[block] if not self._journal.is_done(source.name)]
        self._deaths[block, len(names)] += 1
        if self._deaths[block, len(names)] < TRIES or not names:
            self._left.append(block)
        else:
            self._given_up.append(names)

    def _add_figures(self, actor: Any, block: int | None, told: Mapping[str, Any]) -> None:
        self._failed_loads = 0
        if block is None:
            self._workers[actor] = {**told, **ZEROES}
            return
        for name in ZEROES:
            self._workers[actor][name] += told[name]
        counts = {name: told[name] for name in ("searched", "failed", "evaluations")}
        if any(counts.values()):
            self._reporter.add(**counts)

    def check(self) -> None:
        """Says which images nobody survived.

        Raises:
            ValueError: there are some.
        """
        if self._given_up:
            first, last = self._given_up[0][0], self._given_up[0][-1]
            raise ValueError(
                f"{len(self._given_up)} blocks of images killed their workers {TRIES} times in a row, the first from "
                f"{first} to {last}; look at these images, and at the memory of the nodes. All other images are "
                "explained, and the same command goes on."
            )

    def figures(self, seconds: float) -> dict[str, Any]:
        """Returns what `run.json` says of the workers in place of this process, whom they took so many seconds."""
        workers = [worker for worker in self._workers.values() if worker["explain_s"] > 0]
        same = {name: worker.pop(name) for worker in workers for name in ("micro_batch", "batch_size")}
        return {
            **same,
            "devices": sorted(device for worker in workers for device in worker["devices"]),
            "timings": {"compile_s": max((w["compile_s"] for w in workers), default=0.0), "explain_s": seconds},
            "workers": workers,
        }


def _reason(error: Exception) -> str:
    """Returns the line of an error of Ray that tells most: the first, or the last where an actor could not be made."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1 if "creation task" in lines[0] else 0]
