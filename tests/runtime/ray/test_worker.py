"""What a worker of a Ray cluster loads is what the run says, or it stops with the difference."""

import dataclasses
import functools
import json
import os
import platform
import shutil
import sys
import types
from pathlib import Path

import jax
import pytest

from xaijax import ELIME
from xaijax.cli.make_job import make_job
from xaijax.cli.options import RunOptions
from xaijax.models.zoo import EMBEDDED
from xaijax.runtime.input.sources import Source
from xaijax.runtime.layout import RUN
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.partition import Partition
from xaijax.runtime.ray import worker as workers
from xaijax.runtime.ray.engine import RayEngine
from xaijax.runtime.ray.worker import Worker

METHOD = ELIME(evaluations=12, segmentation="grid")


@pytest.fixture
def weights(tmp_path):
    return shutil.copytree(EMBEDDED / "scenes-resnet", tmp_path / "weights")


@pytest.fixture
def worker(weights, tmp_path, monkeypatch):
    """A worker of a run that has begun, with stubs where it would compile and explain."""
    monkeypatch.chdir(tmp_path)  # so that the working directory is put back: a worker goes where the driver is
    monkeypatch.setattr(workers, "compile_job", lambda job: "compiled")
    monkeypatch.setattr(workers, "explain_all", fail_all)
    asked = RunOptions(model="scenes-resnet", weights=str(weights))
    RunFolder(tmp_path / "run", make_job(asked, METHOD).settings, ["a.png"])
    return Worker(
        blocks={3: [(6, Source("a.png")), (7, Source("b.png"))], 4: [(8, Source("c.png", target="ring"))]},
        make_job=functools.partial(make_job, asked, METHOD),
        folder=tmp_path,
        out=tmp_path / "run",
        partition=Partition(block=2),
        cpus=None,
        cache=False,
        profile=None,
    )


def fail_all(left, targets, program, job, out, journal, *, partition, notes, stop, reporter):
    """Stands for `explain_all`, and fails for all images, until it is to stop."""
    assert program == "compiled"
    for index, source in left:
        if not stop.is_set():
            journal.add(partition.block_of(index), [{"path": source.name, "error": "no such image"}])
            reporter.add(searched=0, failed=1, evaluations=0)


def test_a_worker_loads_what_the_driver_did_and_says_what_it_is(worker, monkeypatch):
    monkeypatch.chdir("/")
    told = worker.load()
    assert Path.cwd() == worker.folder
    assert told["worker"] == f"{platform.node()}:{os.getpid()}"
    assert told["compile_s"] > 0
    assert (told["devices"], told["micro_batch"]) == (["cpu"] * jax.local_device_count(), 32)


def test_a_worker_explains_what_the_journal_of_a_block_does_not_have_and_tells_of_the_whole_block(worker):
    worker.load()
    dead = {"sha256": "1", "target": 0, "label": "disc", "status": "Done.", "files": "0006_a", "evaluations": 12}
    rates = {"original_probability": 0.9, "probability": 0.9, "area": 0.5, "cp_score": 1.8}
    Journal(worker.out, rows_per_image=1).add(3, [{"path": "a.png", **dead, **rates}])
    told = worker.explain(3)
    assert told.pop("explain_s") > 0
    assert told == {"searched": 1, "failed": 1, "evaluations": 12}
    written = (worker.out / "blocks/000003.jsonl").read_text()
    assert [json.loads(line)["path"] for line in written.splitlines()] == ["a.png", "b.png"]
    assert worker.explain(3).items() >= told.items()  # and does nothing
    assert (worker.out / "blocks/000003.jsonl").read_text() == written


def test_the_text_of_a_worker_which_ray_puts_into_errors_does_not_list_its_images(worker):
    assert "a.png" not in repr(worker)


def test_a_worker_that_is_to_stop_ends_its_block(worker):
    worker.load()
    worker.stop()
    assert worker.explain(4).items() >= {"searched": 0, "failed": 0, "evaluations": 0}.items()


def test_a_worker_that_does_not_see_the_folder_of_the_run_says_so_and_where(worker, tmp_path):
    elsewhere = dataclasses.replace(worker, out=tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"elsewhere/run.json' cannot be seen \(No such file.*\(on [^ ]+\)$"):
        elsewhere.load()


def test_a_worker_whose_weights_were_swapped_stops_with_the_difference(worker, weights):
    file = weights / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-2] + b"\0\0")  # another number, and as good a file
    with pytest.raises(ValueError, match=r"holds a run with other settings: weights_sha256 \('\w{64}' then, '\w{64}'"):
        worker.load()


@pytest.mark.parametrize("name", ["version", "jax", "micro_batch"])
def test_a_worker_of_another_version_or_device_stops_with_the_difference(worker, name):
    record = json.loads((worker.out / RUN).read_text())
    record["settings"][name] = "another"
    (worker.out / RUN).write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"other settings: {name} \('another' then, .* now\)"):
        worker.load()


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
    monkeypatch.setitem(sys.modules, "ray", cluster)
    engine = RayEngine(make_job=lambda: None, out=tmp_path, partition=Partition())
    assert engine.platform == platform
    many = RunOptions(model="scenes-resnet", batch_size=500)
    job = make_job(many, METHOD, platform=engine.platform)
    assert job.settings["micro_batch"] == job.micro_batch == micro_batch
    assert make_job(RunOptions(model="scenes-resnet"), METHOD).micro_batch == 32  # of this process
