"""The job that options ask for."""

import pytest

from xaijax import ELIME
from xaijax.cli.make_job import auto_batch_size, make_job
from xaijax.cli.options import RunOptions


@pytest.mark.parametrize(
    ("platform", "devices", "images"), [("cpu", 1, 8), ("cpu", 2, 8), ("cpu", 16, 64), ("gpu", 1, 64), ("tpu", 4, 256)]
)
def test_an_automatic_batch_follows_the_devices(platform, devices, images):
    assert auto_batch_size(platform, devices) == images


def test_an_automatic_batch_is_no_larger_than_the_input():
    asked = RunOptions(model="scenes-resnet")
    assert make_job(asked, ELIME(), images=3).batch_size == 3
    assert make_job(asked, ELIME(), images=100_000).batch_size == make_job(asked, ELIME()).batch_size < 100_000
