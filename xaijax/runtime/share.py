"""The share of one process in a run of several: every n-th block of the input, from its own number on."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Literal

BLOCK = 64
"""Images a block, where nothing else is said."""

SCHEDULERS = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("SLURM_PROCID", "SLURM_NTASKS", None),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", None),
    ("JOB_COMPLETION_INDEX", None, None),
)
"""Where a SLURM array, srun, Open MPI and a Kubernetes Indexed Job tell a process its number, how many processes there
are, and the number of the first. A Kubernetes Job does not tell their count."""


@dataclasses.dataclass(frozen=True)
class Share:
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
        """Whether the process explains an image, by its place in the input."""
        return self.block_of(image) % self.count == self.index


ALL = Share()
"""Of the only process."""


def find_share(
    index: int | None,
    count: int | Literal["auto"] | None,
    block: int = BLOCK,
    environment: Mapping[str, str] | None = None,
) -> Share:
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
        return Share(block=block)
    for index_name, count_name, first_name in SCHEDULERS:
        if index_name in environment and (count != "auto" or count_name in environment):
            first = int(environment.get(first_name, 0)) if first_name else 0
            index = int(environment[index_name]) - first if index is None else index
            count = int(environment[count_name]) if count == "auto" and count_name else count
            break
    if index is None or count == "auto":
        raise ValueError("no scheduler tells this process its number and how many there are; give both.")
    return Share(index, count, block)
