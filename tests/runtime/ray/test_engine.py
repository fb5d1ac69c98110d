"""Runs on a Ray cluster: what is killed, stopped and moved on the way ends as a run that no Ray ever saw.

Who is given which block, and what comes of those who die, is tested on a stub of Ray.
"""

import importlib.util
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.runtime.ray.fake_ray import FakeRay, RayActorError, RayError
from tests.runtime.run_files import contents, write_scenes
from xaijax.runtime.input.sources import Source
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.partition import Partition
from xaijax.runtime.progress import ProgressReporter
from xaijax.runtime.ray import engine as engines
from xaijax.runtime.ray.engine import RayEngine

KILLS = int(os.environ.get("XAIJAX_KILLS", "1"))
"""How many workers are killed before the run is stopped."""

COMMAND = (
    *("--model", "scenes-resnet", "--evaluations", "60", "--segmentation", "grid"),
    *("--batch-size", "1", "--block-size", "3"),
)
RAY = ("--engine", "ray", "--processes", "2")
IMAGES = 9 + 3 * KILLS


def on_a_cluster(test):
    """Marks a test that starts Ray."""
    for mark in (
        pytest.mark.slow,
        pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not there; pip install '.[ray]'."),
        pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="The workers to kill are found in /proc."),
    ):
        test = mark(test)
    return test


class StubWorker:
    """Explains nothing: it writes a line of failure for each image, but dies of those that are to kill it."""

    lethal = frozenset()  # images
    weak = False  # whether it dies after each image
    cannot_load = None  # or the error that it raises
    loaded = died = stopped = 0

    def __init__(self, *, blocks, out, **others):
        self.blocks, self.journal = blocks, Journal(out, rows_per_image=1)

    def load(self):
        if self.cannot_load is not None:
            raise self.cannot_load
        type(self).loaded += 1
        return {"worker": "host:1", "devices": ["cpu"], "compile_s": 2.0, "micro_batch": 32, "batch_size": 8}

    def explain(self, block):
        self.journal.scan_block(block)
        for _, source in self.blocks[block]:
            if source.name in self.lethal:
                self.die()
            if not self.journal.is_done(source.name):
                self.journal.add(block, [{"path": source.name, "error": "none"}])
                if self.weak:
                    self.die()
        return {"searched": len(self.blocks[block]), "failed": 0, "evaluations": 60, "explain_s": 0.5}

    def die(self):
        type(self).died += 1
        raise RayActorError("The actor died.\nIts worker process has died.")

    def stop(self):
        type(self).stopped += 1


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of two CPUs with workers that a test may let die."""
    found = FakeRay(cpus=2)
    monkeypatch.setitem(sys.modules, "ray", found)
    monkeypatch.setattr(engines, "Worker", type("Worker", (StubWorker,), {}))
    yield found
    assert not found.started  # all are gone, whatever came of the run


class Reporter(ProgressReporter):
    """Calls a function after each block."""

    def __init__(self, then):
        super().__init__(0)
        self.then = then

    def add(self, **counts):
        super().add(**counts)
        self.then()


def explain(out, *, images=12, stop=None, then=lambda: None, **options):
    """Explains images in blocks of three; returns the figures, and the reporter that was told."""
    (out / "blocks").mkdir()
    left = [(index, Source(f"{index:02d}.png")) for index in range(images)]
    engine = RayEngine(make_job=lambda: None, out=out, partition=Partition(block=3), **options)
    with Reporter(then) as reporter:
        return engine(left, Journal(out, rows_per_image=1), stop or threading.Event(), reporter), reporter


def test_the_blocks_are_explained_and_the_workers_told_of(cluster, tmp_path):
    figures, reporter = explain(tmp_path)
    assert (reporter.images, reporter.evaluations, lines(tmp_path)) == (12, 240, 12)
    assert cluster.most == 3  # one more than there was room for
    worker = {"worker": "host:1", "devices": ["cpu"], "compile_s": 2.0}
    counts = {"searched": 6, "failed": 0, "evaluations": 120, "explain_s": 1.0}
    assert figures.pop("timings")["compile_s"] == 2.0
    assert figures == {"micro_batch": 32, "batch_size": 8, "devices": ["cpu"] * 2, "workers": [worker | counts] * 2}


def test_a_block_that_kills_five_workers_is_given_up_and_named_and_the_others_are_explained(cluster, tmp_path):
    engines.Worker.lethal = {"04.png"}
    with pytest.raises(
        ValueError, match=r"1 blocks of images killed .* 5 times in a row, the first from 04.png to 05.p"
    ):
        explain(tmp_path)
    assert (lines(tmp_path), engines.Worker.died) == (10, 5)


def test_a_block_whose_workers_die_is_explained_as_long_as_each_gets_further(cluster, tmp_path):
    engines.Worker.weak = True
    _, reporter = explain(tmp_path)
    assert (reporter.images, lines(tmp_path), engines.Worker.died) == (12, 12, 12)


def test_more_actors_are_asked_for_as_the_cluster_grows_but_not_as_it_shrinks(cluster, tmp_path):
    sizes, seen = iter([4, 4, 4, 4, 1]), []
    cluster.cpus = 1

    def resize():
        seen.append((len(cluster.started), cluster.placed))
        cluster.cpus = next(sizes, cluster.cpus)

    explain(tmp_path, images=30, then=resize)
    assert seen[:2] == [(2, 1), (5, 4)]
    assert (cluster.most, cluster.placed) == (5, 4)


def test_as_many_actors_are_asked_for_as_was_said_but_none_without_a_block(cluster, tmp_path):
    cluster.cpus = 9
    explain(tmp_path, workers=3)
    assert cluster.most == 3
    shutil.rmtree(tmp_path / "blocks")
    explain(tmp_path, images=6, workers=5)
    assert cluster.most == 3


def test_actors_that_the_cluster_had_no_room_for_are_not_waited_for(cluster, tmp_path):
    cluster.cpus = 1
    explain(tmp_path, workers=3)
    assert (cluster.most, engines.Worker.loaded) == (3, 1)


def test_a_run_that_is_stopped_begins_no_block_and_waits_for_those_that_are_begun(cluster, tmp_path):
    stop = threading.Event()
    _, reporter = explain(tmp_path, images=30, stop=stop, then=stop.set)
    assert reporter.images == lines(tmp_path) == 9  # the actor that ends first had begun another block
    assert engines.Worker.stopped >= 2


def test_what_a_worker_cannot_do_ends_the_run_in_one_sentence(cluster, tmp_path):
    engines.Worker.cannot_load = ValueError("no weights there (on host)")
    with pytest.raises(ValueError, match=r"^no weights there \(on host\)$"):
        explain(tmp_path)


def test_an_error_of_the_program_in_a_worker_names_its_cause_and_keeps_its_traceback(cluster, tmp_path):
    engines.Worker.cannot_load = KeyError("name")
    with pytest.raises(RuntimeError, match=r"^a worker broke: KeyError: 'name'$") as raised:
        explain(tmp_path)
    assert "with a traceback" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("The actor died.\nIts worker process has died.", "The actor died."),
        (
            "An error was raised in its creation task\nTraceback\n  File\nImportError: No xaijax",
            "ImportError: No xaijax",
        ),
    ],
)
def test_workers_that_all_die_while_they_load_end_the_run(cluster, tmp_path, told, reason):
    engines.Worker.cannot_load = RayActorError(told)
    with pytest.raises(ValueError, match=rf"5 workers in a row died while they loaded \({reason}\); look at"):
        explain(tmp_path)


def test_workers_whose_node_goes_while_they_all_load_are_replaced(cluster, tmp_path, monkeypatch):
    cluster.cpus, numbers = 8, itertools.count()

    class Worker(engines.Worker):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            if next(numbers) < 8:
                self.cannot_load = RayActorError("The node died.")

    monkeypatch.setattr(engines, "Worker", Worker)
    _, reporter = explain(tmp_path, images=30)
    assert reporter.images == lines(tmp_path) == 30
    assert next(numbers) > 8


def test_a_cluster_that_breaks_is_told_in_a_sentence(cluster, tmp_path, monkeypatch):
    def breaks(calls, timeout):
        raise RayError("\nThe head is gone.\nMore.")

    monkeypatch.setattr(cluster, "wait", breaks)
    with pytest.raises(ValueError, match=r"the Ray cluster gave up \(The head is gone.\); the same command goes on"):
        explain(tmp_path)


def test_no_workers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="processes is 0 but must be at least 1"):
        RayEngine(make_job=lambda: None, out=tmp_path, partition=Partition(), workers=0)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    short = tempfile.mkdtemp(prefix="ray")  # a socket's path has at most 107 characters
    folder = tmp_path_factory.mktemp("environment")
    yield os.environ | {
        "HOME": str(folder),  # Ray keeps a token there
        "XDG_CACHE_HOME": str(folder),
        "RAY_TMPDIR": short,
        "RAY_ADDRESS": "local",
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }
    shutil.rmtree(short, ignore_errors=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, IMAGES)
    return folder


@pytest.fixture
def start_command(environment):
    """Starts Python with arguments; whatever still runs at the end of the test is killed."""
    started = []

    def start_command(*arguments, **more):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen([sys.executable, "-m", *arguments], env=environment | more, **pipes))
        return started[-1]

    yield start_command
    for process in started:
        kill(process)


@pytest.fixture
def start(start_command, images):
    """Starts a run."""

    def start(out, *options, **more):
        return start_command("xaijax.cli", "explain", str(images), *COMMAND, "--out", str(out), *options, **more)

    return start


@pytest.fixture(scope="module")
def expected(images, environment, tmp_path_factory):
    """The folder of the run as it is without Ray."""
    out = tmp_path_factory.mktemp("expected") / "run"
    command = [sys.executable, "-m", "xaijax.cli", "explain", str(images), *COMMAND, "--out", str(out)]
    assert subprocess.run(command, env=environment, check=False).returncode == 1  # one image is damaged
    return out


def kill(process):
    """Kills a process and all below it."""
    if process.poll() is None:
        for child in [*descendants(process.pid), process.pid]:
            os.kill(child, signal.SIGKILL)
        process.communicate()


def descendants(pid):
    """Returns the processes below one, each with its command line."""
    parents, commands = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(folder.name)] = (folder / "cmdline").read_bytes().decode()
        except OSError:  # it has ended
            continue
    found = {}
    for child in parents:
        above = child
        while above in parents and above != pid:
            above = parents[above]
        if above == pid and child != pid and child in commands:
            found[child] = commands[child]
    return found


def workers_below(process):
    return [pid for pid, command in descendants(process.pid).items() if "ray::Worker" in command]


def lines(out):
    return sum(file.read_bytes().count(b"\n") for file in (out / "blocks").glob("*.jsonl"))


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def explained_so_far(out):
    """Returns the picture of every image that the journal vouches for; a killed worker leaves others behind."""
    read = (json.loads(line) for file in (out / "blocks").glob("*.jsonl") for line in file.read_text().splitlines())
    pictures = [out / "overlays" / f"{row['files']}.png" for row in read if "files" in row]
    return {path: path.stat().st_ino for path in pictures}


@on_a_cluster
def test_a_run_whose_workers_are_killed_and_that_is_stopped_ends_as_one_without_ray(start, expected, tmp_path):
    out, moments = tmp_path / "run", random.Random(0)
    driver = start(out, *RAY)
    for _ in range(KILLS):
        before = lines(out)
        wait_for(lambda before=before: lines(out) > before, driver)
        workers = workers_below(driver)
        assert 1 <= len(workers) <= 2
        os.kill(moments.choice(workers), signal.SIGKILL)
        before = lines(out)
        wait_for(lambda before=before: lines(out) > before, driver)
    ours = set(descendants(driver.pid))
    driver.send_signal(signal.SIGTERM)
    printed = driver.communicate()[0]
    assert driver.returncode == 143, printed
    assert "this goes on from here: xaijax explain" in printed
    assert not (out / "results.jsonl").exists()
    written = explained_so_far(out)
    assert 0 < len(written) < IMAGES - 1
    again = start(out, "--engine", "ray", "--processes", "1")
    printed = again.communicate()[0]
    assert again.returncode == 1, printed
    assert f"{IMAGES - 1} of {IMAGES} images explained" in printed
    assert contents(out) == contents(expected)
    assert {path: path.stat().st_ino for path in written} == written  # nothing was explained again
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]


@on_a_cluster
def test_a_run_uses_nodes_that_come_and_outlives_those_that_go(start, start_command, expected, tmp_path):
    out = tmp_path / "run"
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    ray = "ray.scripts.scripts", "start", "--block", "--min-worker-port", "0", "--max-worker-port", "0"
    head = start_command(*ray, "--head", "--port", str(port), "--num-cpus", "0", "--include-dashboard", "false")
    wait_for(lambda: can_connect(port), head)
    driver = start(out, "--engine", "ray", RAY_ADDRESS=f"127.0.0.1:{port}")
    wait_for((out / "run.json").exists, driver)
    first = start_command(*ray, "--address", f"127.0.0.1:{port}", "--num-cpus", "1")
    wait_for(lambda: lines(out) > 0, driver)
    for worker in workers_below(first):
        os.kill(worker, signal.SIGSTOP)  # it keeps its block
    before = lines(out)
    second = start_command(*ray, "--address", f"127.0.0.1:{port}", "--num-cpus", "1")
    wait_for(lambda: lines(out) > before + 3, driver)
    assert len(workers_below(first)) == len(workers_below(second)) == 1
    kill(first)
    printed = driver.communicate()[0]
    assert driver.returncode == 1, printed
    assert f"{IMAGES - 1} of {IMAGES} images explained" in printed
    assert contents(out) == contents(expected)


def can_connect(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
