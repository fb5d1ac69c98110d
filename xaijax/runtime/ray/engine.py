"""The engine for clusters that come and go: the blocks of a run as tasks of a Ray Data actor pool."""

import contextlib
import dataclasses
import itertools
import json
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from xaijax.runtime.job import Job
from xaijax.runtime.partition import Partition
from xaijax.runtime.progress import ProgressReporter
from xaijax.runtime.ray.cluster import Pool, find_pool, import_ray
from xaijax.runtime.ray.worker import TRIES, Numbered, Orders, Watch, Worker

ZEROES = {"searched": 0, "failed": 0, "evaluations": 0, "explain_s": 0.0}
"""Of a worker's figures, those that its blocks add up to."""

LOOK_S = 0.5
"""Seconds between two looks at whether the run is to stop."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnRay:
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

    @property
    def platform(self) -> str:
        """Of the devices that the actors take: "gpu" or "cpu"; the caller is connected to a cluster."""
        return "gpu" if self._pool(import_ray()).gpus else "cpu"

    def _pool(self, ray: Any) -> Pool:
        return find_pool([node["Resources"] for node in ray.nodes() if node["Alive"]], self.workers)

    def __call__(self, left: Numbered, stop: threading.Event, reporter: ProgressReporter) -> dict[str, Any]:
        """Explains numbered images until there are none left, or `stop` is set; the caller is connected to a cluster.

        Raises:
            ValueError: a node cannot load or write, the cluster gave up, or a block killed all who began it.
        """
        ray = import_ray()
        try:
            return self._explain(ray, left, stop, reporter)
        except ray.exceptions.RayError as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ValueError(f"the Ray cluster gave up ({reason}); the same command goes on.") from error

    def _explain(self, ray: Any, left: Numbered, stop: threading.Event, reporter: ProgressReporter) -> dict[str, Any]:
        pool = self._pool(ray)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        watch = ray.remote(Watch).options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here).remote()
        orders = Orders(
            make_job=self.make_job,
            folder=Path.cwd(),
            out=self.out,
            partition=self.partition,
            cpus=pool.cpus,
            cache=self.cache,
            profile=self.profile,
            watch=watch,
        )
        blocks = [
            {"block": block, "images": json.dumps([(index, dataclasses.asdict(source)) for index, source in images])}
            for block, images in itertools.groupby(left, key=lambda numbered: self.partition.block_of(numbered[0]))
        ]
        told = WorkerStats()
        rows = contextlib.closing(_rows(ray, blocks, orders, pool, is_fixed=self.workers is not None))
        with _telling(stop, lambda: ray.get(watch.stop.remote())) as listening, rows as each:
            for row in each:
                told.add(row, reporter)
                if listening and len(told.stopped) >= listening[0]:
                    break
        told.check()
        return told.figures(reporter.seconds)


def _rows(
    ray: Any, blocks: list[dict[str, Any]], orders: Orders, pool: Pool, *, is_fixed: bool
) -> Generator[dict[str, Any]]:
    """Yields what the workers tell of each block, in the order in which they are done."""
    most = len(blocks)
    now = min(pool.workers, most)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # the console's; its log files are left alone
            handler.setLevel(logging.ERROR)
    sizes = {"size": now} if is_fixed else {"min_size": 1, "initial_size": now, "max_size": most}
    # Two blocks an actor: it need not wait for the next one, and Ray Data lets a pool of busy actors grow.
    compute = ray.data.ActorPoolStrategy(**sizes, max_tasks_in_flight_per_actor=2)
    tasks = ray.data.from_items(blocks, override_num_blocks=most)
    explained = tasks.map(
        Worker, fn_constructor_args=(orders,), compute=compute, num_cpus=pool.cpus, num_gpus=pool.gpus
    )
    yield from explained.iter_rows()


class WorkerStats:
    """What the workers of a run have told.

    Attributes:
        stopped: names of the workers that know that the run is to stop, and have nothing in flight.
    """

    def __init__(self) -> None:
        self.stopped: set[str] = set()
        self._workers: dict[str, dict[str, Any]] = {}
        self._given_up: list[list[str]] = []
        self._same: dict[str, Any] = {}

    def add(self, row: Mapping[str, str], reporter: ProgressReporter) -> None:
        """Adds what was told of a block.

        Raises:
            ValueError: the worker can explain nothing.
        """
        told = json.loads(row["told"])
        if "error" in told:
            raise ValueError(f"{told['error']} (on {told['worker'].partition(':')[0]})")
        if told["is_stopped"]:
            self.stopped.add(told["worker"])
        if "given_up" in told:
            self._given_up.append(told["given_up"])
        if "explain_s" not in told:
            return
        worker = self._workers.setdefault(
            told["worker"], {name: told[name] for name in ("worker", "devices", "compile_s")} | ZEROES
        )
        for name in ZEROES:
            worker[name] += told[name]
        self._same = {name: told[name] for name in ("micro_batch", "batch_size")}
        counts = {name: told[name] for name in ("searched", "failed", "evaluations")}
        if any(counts.values()):
            reporter.add(**counts)

    def check(self) -> None:
        """Says which images nobody survived.

        Raises:
            ValueError: there are some.
        """
        if self._given_up:
            first, last = self._given_up[0]
            raise ValueError(
                f"{len(self._given_up)} blocks of images killed their workers {TRIES} times in a row, the first from "
                f"{first} to {last}; look at these images, and at the memory of the nodes. All other images are "
                "explained, and the same command goes on."
            )

    def figures(self, seconds: float) -> dict[str, Any]:
        """Returns what `run.json` says of the workers in place of this process, whom they took so many seconds."""
        devices = itertools.chain.from_iterable(worker["devices"] for worker in self._workers.values())
        compile_s = max((worker["compile_s"] for worker in self._workers.values()), default=0.0)
        return {
            **self._same,
            "devices": sorted(devices),
            "timings": {"compile_s": compile_s, "explain_s": seconds},
            "workers": list(self._workers.values()),
        }


@contextlib.contextmanager
def _telling(stop: threading.Event, tell: Callable[[], int]) -> Iterator[list[int]]:
    """Tells the workers once `stop` is set, while the block lasts; what they reply is then in the list."""
    reply: list[int] = []
    over = threading.Event()

    def wait() -> None:
        while not over.is_set():
            if stop.wait(LOOK_S):
                reply.append(tell())
                return

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield reply
    finally:
        over.set()
        thread.join()
