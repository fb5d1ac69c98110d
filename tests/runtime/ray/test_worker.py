"""What a worker of a Ray cluster loads is what the run says, or it stops with the difference."""

import functools
import json
import shutil
import types

import pytest

from xaijax import ELIME
from xaijax.cli.make_job import make_job
from xaijax.cli.options import RunOptions
from xaijax.models.zoo import EMBEDDED
from xaijax.runtime.layout import RUN
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.partition import Partition
from xaijax.runtime.ray import engine as engines
from xaijax.runtime.ray import worker as workers
from xaijax.runtime.ray.engine import OnRay
from xaijax.runtime.ray.worker import Orders

METHOD = ELIME(evaluations=12, segmentation="grid")


@pytest.fixture
def weights(tmp_path):
    return shutil.copytree(EMBEDDED / "scenes-resnet", tmp_path / "weights")


@pytest.fixture
def orders(weights, tmp_path, monkeypatch):
    """Orders of a driver that has begun a run, and stubs where a worker would compile."""
    monkeypatch.chdir(tmp_path)  # a worker goes where the driver is
    monkeypatch.setattr(workers, "compile_job", lambda job: "compiled")
    asked = RunOptions(model="scenes-resnet", weights=str(weights))
    RunFolder(tmp_path / "run", make_job(asked, METHOD).settings, ["a.png"])
    return Orders(
        make_job=functools.partial(make_job, asked, METHOD),
        folder=tmp_path,
        out=tmp_path / "run",
        partition=Partition(),
        cpus=None,
        cache=False,
        profile=None,
        watch=None,
    )


def test_a_worker_loads_what_the_driver_did(orders):
    assert workers._load(orders).explain == "compiled"


def test_a_worker_whose_weights_were_swapped_stops_with_the_difference(orders, weights):
    file = weights / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-2] + b"\0\0")  # another number, and as good a file
    with pytest.raises(ValueError, match=r"holds a run with other settings: weights_sha256 \('\w{64}' then, '\w{64}'"):
        workers._load(orders)


@pytest.mark.parametrize("name", ["version", "jax", "micro_batch"])
def test_a_worker_of_another_version_or_device_stops_with_the_difference(orders, name):
    record = json.loads((orders.out / RUN).read_text())
    record["settings"][name] = "another"
    (orders.out / RUN).write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"other settings: {name} \('another' then, .* now\)"):
        workers._load(orders)


def test_weights_that_change_while_they_are_read_are_refused(weights, monkeypatch):
    def swap_and_load(*arguments, original=make_job.__globals__["load"], **options):
        (weights / "model.safetensors").write_bytes((weights / "model.safetensors").read_bytes()[:-2] + b"\0\0")
        return original(*arguments, **options)

    monkeypatch.setitem(make_job.__globals__, "load", swap_and_load)
    with pytest.raises(ValueError, match="changed while they were read; start the command again"):
        make_job(RunOptions(model="scenes-resnet", weights=str(weights)), METHOD)


@pytest.mark.parametrize(("resources", "platform", "micro_batch"), [({"CPU": 8}, "cpu", 32), ({"GPU": 2}, "gpu", 1024)])
def test_the_driver_records_the_micro_batch_of_the_workers(monkeypatch, tmp_path, resources, platform, micro_batch):
    cluster = types.SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": resources}])
    monkeypatch.setattr(engines, "import_ray", lambda: cluster)
    engine = OnRay(make_job=lambda: None, out=tmp_path, partition=Partition())
    assert engine.platform == platform
    job = make_job(RunOptions(model="scenes-resnet"), METHOD, platform=engine.platform)
    assert job.settings["micro_batch"] == job.micro_batch == micro_batch
    assert make_job(RunOptions(model="scenes-resnet"), METHOD).micro_batch == 32  # of this process
