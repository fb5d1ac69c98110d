"""Runs on a Ray cluster: what is killed and stopped on the way ends as a run that no Ray ever saw."""

import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import pytest
from PIL import Image

from tests.runtime.run_files import contents
from xaijax.scenes.generator import generate

KILLS = int(os.environ.get("XAIJAX_KILLS", "1"))
"""How many workers are killed before the run is stopped."""

COMMAND = (
    *("--model", "scenes-resnet", "--evaluations", "60", "--segmentation", "grid"),
    *("--batch-size", "1", "--block-size", "3"),
)
RAY = ("--engine", "ray", "--processes", "2")
IMAGES = 9 + 3 * KILLS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed; pip install '.[ray]'."),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="The workers to kill are found in /proc."),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    short = tempfile.mkdtemp(prefix="ray")  # a socket's path has at most 107 characters
    folder = tmp_path_factory.mktemp("environment")
    yield os.environ | {
        "HOME": str(folder),  # Ray keeps a token there
        "XDG_CACHE_HOME": str(folder),
        "RAY_TMPDIR": short,
        "RAY_ADDRESS": "local",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }
    shutil.rmtree(short, ignore_errors=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    for index, image in enumerate(jax.device_get(generate(jax.random.split(jax.random.key(3), IMAGES))).image):
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    (folder / "07.png").write_bytes(b"damaged")
    return folder


@pytest.fixture
def start(images, environment):
    """Starts the command; whatever still runs at the end of the test is killed."""
    started = []

    def start(out, *more):
        command = [sys.executable, "-m", "xaijax.cli", "explain", str(images), *COMMAND, "--out", str(out), *more]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
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


def lines(out):
    return sum(file.read_bytes().count(b"\n") for file in (out / "blocks").glob("*.jsonl"))


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def files_so_far(out):
    return {path: path.stat().st_ino for path in (out / "overlays").iterdir() if path.suffix == ".png"}


def test_a_run_whose_workers_are_killed_and_that_is_stopped_ends_as_one_without_ray(start, images, tmp_path):
    expected, out, moments = tmp_path / "expected", tmp_path / "run", random.Random(0)
    undisturbed = start(expected)
    printed = undisturbed.communicate()[0]
    assert undisturbed.returncode == 1, printed  # one image is damaged
    driver = start(out, *RAY)
    for _ in range(KILLS):
        before = lines(out)
        wait_for(lambda before=before: lines(out) > before, driver)
        workers = [pid for pid, command in descendants(driver.pid).items() if "MapWorker" in command]
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
    written = files_so_far(out)
    assert 0 < len(written) < IMAGES - 1
    again = start(out, "--engine", "ray", "--processes", "1")
    printed = again.communicate()[0]
    assert again.returncode == 1, printed
    assert f"{IMAGES - 1} of {IMAGES} images explained" in printed
    assert contents(out) == contents(expected)
    assert files_so_far(out).items() >= written.items()  # nothing was explained again
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]
