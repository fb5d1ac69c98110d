"""The share of one process in a run of several: every n-th block of the input, from its own number on."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Literal

BLOCK = 64
"""Images a block, where nothing else is said."""

LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
"""Where mpirun and srun tell a process its number and how many they started, the innermost first: under SLURM mpirun's
processes inherit the number 0 of the batch script. The script itself has that too, with SLURM_NTASKS, and is alone."""


@dataclasses.dataclass(frozen=True)
class Partition:
    """Which images of a run a process explains.

    Attributes:
        index: of the process, from 0.
        count: processes.
        block: images a block.
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
        """Returns the number of the block that holds an image."""
        return image // self.block

    def has(self, image: int) -> bool:
        """Whether the process explains an image, by its index in the input."""
        return self.block_of(image) % self.count == self.index


ALL = Partition()
"""Of the only process."""


def find_partition(
    index: int | None,
    count: int | Literal["auto"] | None,
    block: int = BLOCK,
    environment: Mapping[str, str] | None = None,
) -> Partition:
    """Returns the share that was asked for; without a count that is the whole run, whatever a scheduler says.

    Args:
        index: of the process; None takes the scheduler's.
        count: processes; "auto" takes the scheduler's.
        block: images a block.
        environment: None is the process's own.

    Raises:
        ValueError: one of the two is missing, or they do not fit.
    """
    environment = os.environ if environment is None else environment
    if count is None:
        if index is not None:
            raise ValueError(f"process-index is {index} but processes is not given; give both.")
        return Partition(block=block)
    if index is None or count == "auto":
        told_index, told_count = _told(environment)
        index = told_index if index is None else index
        count = told_count if count == "auto" else count
    if index is None or count is None:
        raise ValueError("no scheduler tells this process its number and how many there are; give both.")
    return Partition(index, count, block)


def _told(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Returns number and count by the scheduler, None what it does not tell.

    Each task of a SLURM array may start several processes. A Kubernetes Indexed Job does not tell their count.
    """
    array = _array_rank(environment)
    for index_name, count_name in LAUNCHERS:
        if index_name in environment and count_name in environment:
            inner, each = int(environment[index_name]), int(environment[count_name])
            task, tasks = array or (0, 1)
            return task * each + inner, tasks * each
    if array is not None:
        return array
    if "JOB_COMPLETION_INDEX" in environment:
        return int(environment["JOB_COMPLETION_INDEX"]), None
    return None, None


def _array_rank(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Returns the rank of a task in its SLURM array, and the tasks; None outside of one."""
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
