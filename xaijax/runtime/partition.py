"""Partitions a run among processes: process i of n explains the blocks i, i + n, i + 2 n, ... of the input."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Literal

BLOCK = 64
"""Images per block, by default."""

LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
"""Environment variables in which mpirun and srun pass the rank of a process and their number, the innermost launcher
first: under SLURM, mpirun's processes inherit rank 0 from the batch script. The script itself has that rank too, with
SLURM_NTASKS, but is a single process."""


@dataclasses.dataclass(frozen=True)
class Partition:
    """Which images of a run a process explains.

    Attributes:
        index: of the process, from 0.
        count: number of processes.
        block: images per block.
    """

    index: int = 0
    count: int = 1
    block: int = BLOCK

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.index < self.count or self.block < 1:
            raise ValueError(
                f"process {self.index} of {self.count} with blocks of {self.block} images cannot be; the first process "
                "is 0, the last one less than their count, and a block has at least one image."
            )

    def block_of(self, image: int) -> int:
        """Returns the index of the block that holds an image, by the image's index in the input."""
        return image // self.block

    def has(self, image: int) -> bool:
        """Whether the process explains an image, by its index in the input."""
        return self.block_of(image) % self.count == self.index


ALL = Partition()
"""The partition of a single process, with all images."""


def find_partition(
    index: int | None,
    count: int | Literal["auto"] | None,
    block: int = BLOCK,
    environment: Mapping[str, str] | None = None,
) -> Partition:
    """Returns the requested partition; without a count it is the whole run, even under a scheduler.

    Args:
        index: of the process; None takes the scheduler's.
        count: number of processes; "auto" takes the scheduler's.
        block: images per block.
        environment: with the scheduler's variables; None is that of this process.

    Raises:
        ValueError: index or count is missing, or they do not fit together.
    """
    environment = os.environ if environment is None else environment
    if count is None:
        if index is not None:
            raise ValueError(f"process-index is {index} but processes is not given; give both.")
        return Partition(block=block)
    if index is None or count == "auto":
        scheduler_index, scheduler_count = _from_scheduler(environment)
        index = scheduler_index if index is None else index
        count = scheduler_count if count == "auto" else count
    if index is None or count is None:
        raise ValueError("no scheduler passes this process its number and how many there are; give both.")
    return Partition(index, count, block)


def _from_scheduler(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Returns the index of this process and the number of processes by the scheduler, None for what it does not pass.

    Each task of a SLURM array may start several processes. A Kubernetes Indexed Job does not pass their number.
    """
    array = _array_rank(environment)
    for rank_name, count_name in LAUNCHERS:
        if rank_name in environment and count_name in environment:
            rank, per_task = int(environment[rank_name]), int(environment[count_name])
            task, tasks = array or (0, 1)
            return task * per_task + rank, tasks * per_task
    if array is not None:
        return array
    if "JOB_COMPLETION_INDEX" in environment:
        return int(environment["JOB_COMPLETION_INDEX"]), None
    return None, None


def _array_rank(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Returns the rank of a task in its SLURM array and the number of tasks; None outside of an array."""
    names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "COUNT", "MIN", "MAX", "STEP")]
    if not all(name in environment for name in names):
        return None
    task, count, first, last, step = (int(environment[name]) for name in names)
    if (last - first) // step + 1 != count:
        raise ValueError(
            f"the {count} tasks of the SLURM array have ids from {first} to {last} with gaps, so that none can tell "
            f"its rank; submit all of it, or ids in a row, such as --array=0-{count - 1}."
        )
    return (task - first) // step, count
