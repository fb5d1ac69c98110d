"""Which images of a run a process explains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaijax.runtime.partition import BLOCK, Partition, find_partition


@given(st.integers(0, 500), st.integers(1, 9), st.integers(1, 70))
def test_every_image_belongs_to_one_process_and_a_block_to_the_same(image, count, block):
    owners = [index for index in range(count) if Partition(index, count, block).has(image)]
    assert owners == [image // block % count]


def array(task, count, first, last, step=1):
    values = {"ID": task, "COUNT": count, "MIN": first, "MAX": last, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def srun(index, count):
    return {"SLURM_PROCID": str(index), "SLURM_STEP_NUM_TASKS": str(count), "SLURM_NTASKS": str(count)}


def mpirun(rank, size):
    return {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(size)}


BATCH_SCRIPT = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}


@pytest.mark.parametrize(
    ("index", "count", "environment", "expected"),
    [
        (None, None, srun(1, 4), (0, 1)),
        (2, 5, srun(1, 4), (2, 5)),
        (None, "auto", srun(1, 4), (1, 4)),
        (None, "auto", mpirun(3, 4), (3, 4)),
        (None, "auto", BATCH_SCRIPT | mpirun(3, 4), (3, 4)),
        (None, "auto", array(12, 3, 10, 12), (2, 3)),
        (None, "auto", array(20, 4, 0, 30, 10), (2, 4)),
        (None, "auto", array(4, 1, 4, 4), (0, 1)),
        (None, "auto", BATCH_SCRIPT | array(2, 3, 0, 2), (2, 3)),
        (None, "auto", array(2, 3, 0, 2) | srun(0, 1), (2, 3)),
        (None, "auto", array(2, 3, 0, 2) | srun(1, 4), (9, 12)),
        (None, "auto", array(2, 3, 0, 2) | BATCH_SCRIPT | mpirun(1, 4), (9, 12)),
        (None, 8, {"JOB_COMPLETION_INDEX": "7"}, (7, 8)),
        (None, 8, array(2, 3, 0, 2), (2, 8)),
    ],
)
def test_number_and_count_come_from_flags_or_the_scheduler(index, count, environment, expected):
    assert find_partition(index, count, environment=environment) == Partition(*expected, BLOCK)


@pytest.mark.parametrize(
    ("index", "count", "environment", "message"),
    [
        (1, None, {}, "processes is not given"),
        (None, 3, {}, "no scheduler passes"),
        (None, "auto", {"JOB_COMPLETION_INDEX": "7"}, "no scheduler passes"),
        (None, "auto", BATCH_SCRIPT, "no scheduler passes"),
        (None, "auto", array(5, 2, 2, 5), "ids from 2 to 5 with gaps"),
        (3, 3, {}, "process 3 of 3"),
        (-1, 3, {}, "process -1 of 3"),
    ],
)
def test_what_does_not_fit_is_said(index, count, environment, message):
    with pytest.raises(ValueError, match=message):
        find_partition(index, count, environment=environment)
