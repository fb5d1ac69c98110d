"""The Ray cluster of a run: how it is found, left, and divided among actors."""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def import_ray() -> Any:
    """Imports Ray, which takes seconds; it reports nothing home unless the environment asks for that.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ValueError("--engine ray needs Ray; install it with `pip install 'xaijax[ray]'`.") from error
    return ray


@contextlib.contextmanager
def connected() -> Iterator[None]:
    """Connects to a cluster, and leaves it at the end of the block, unless there was a connection before it.

    It is the cluster that `RAY_ADDRESS` names, or else the one that runs on this machine, or one started on it for the
    block. JAX must not have started: Ray forks, which a process with JAX's threads may not survive.

    Raises:
        ValueError: Ray is not installed, or its cluster does not answer.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(logging_level=logging.WARNING)
    except ConnectionError as error:
        raise ValueError(
            f"no Ray cluster answers at {os.environ.get('RAY_ADDRESS', 'the address of this machine')!r}; start it, or "
            "set RAY_ADDRESS=local to use this machine alone."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def living_nodes() -> list[Mapping[str, float]]:
    """Returns the resources of each node of the cluster now, as Ray names them (`CPU`, `GPU`)."""
    return [node["Resources"] for node in import_ray().nodes() if node["Alive"]]


@dataclasses.dataclass(frozen=True)
class Pool:
    """What each actor of a run takes.

    Attributes:
        cpus: None where it takes a GPU.
        gpus: None where there are none.
    """

    cpus: int | None
    gpus: int | None

    def room(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """Returns how many of the actors a cluster has room for, were it empty."""
        if self.cpus is None:
            return sum(int(node.get("GPU", 0)) for node in nodes)
        return sum(int(node.get("CPU", 0)) // self.cpus for node in nodes)


def find_pool(nodes: Sequence[Mapping[str, float]], workers: int | None = None) -> Pool:
    """Returns the actors that suit a cluster.

    Where there are GPUs, an actor takes one. Where there are none, it takes as many CPUs as the smallest node has, or
    fewer where more actors are asked for than would fit.

    Args:
        nodes: resources of each.
        workers: asked for; None is as many as there is room for.
    """
    if Pool(None, 1).room(nodes):
        return Pool(None, 1)
    cores = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1] or [1]
    if workers is None:
        return Pool(min(cores), None)
    sizes = (Pool(cpus, None) for cpus in range(max(cores), 0, -1))
    return next((pool for pool in sizes if pool.room(nodes) >= workers), Pool(1, None))
