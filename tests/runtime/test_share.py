"""Which images of a run a process explains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaijax.runtime.share import BLOCK, Share, find_share


@given(st.integers(0, 500), st.integers(1, 9), st.integers(1, 70))
def test_every_image_belongs_to_one_process_and_a_block_to_the_same(image, count, block):
    owners = [index for index in range(count) if Share(index, count, block).has(image)]
    assert owners == [image // block % count]


@pytest.mark.parametrize(
    ("index", "count", "environment", "expected"),
    [
        (None, None, {"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, (0, 1)),
        (2, 5, {"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, (2, 5)),
        (None, "auto", {"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, (1, 4)),
        (None, "auto", {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}, (3, 4)),
        (
            None,
            "auto",
            {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "10"},
            (2, 3),
        ),
        (None, 8, {"JOB_COMPLETION_INDEX": "7"}, (7, 8)),
    ],
)
def test_number_and_count_come_from_flags_or_the_scheduler(index, count, environment, expected):
    assert find_share(index, count, environment=environment) == Share(*expected, BLOCK)


@pytest.mark.parametrize(
    ("index", "count", "environment", "message"),
    [
        (1, None, {}, "processes is not given"),
        (None, 3, {}, "no scheduler tells"),
        (None, "auto", {"JOB_COMPLETION_INDEX": "7"}, "no scheduler tells"),
        (3, 3, {}, "process 3 of 3"),
        (-1, 3, {}, "process -1 of 3"),
    ],
)
def test_what_does_not_fit_is_said(index, count, environment, message):
    with pytest.raises(ValueError, match=message):
        find_share(index, count, environment=environment)
