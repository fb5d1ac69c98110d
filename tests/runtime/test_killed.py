"""Runs that are killed at any moment and started again end as those that were left alone."""

import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runtime.run_files import contents, write_scenes

KILLS = int(os.environ.get("XAIJAX_KILLS", "1"))
"""How many processes are killed; a run that ends before is compared, and another one is begun."""

COMMAND = ("--model", "scenes-resnet", "--evaluations", "60", "--segmentation", "grid", "--block-size", "3")
IMAGES = 15


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return os.environ | {
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }


def simulated(devices):
    return {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, IMAGES)
    return folder


def start(images, out, environment, *share, batch=2):
    options = [*COMMAND, "--batch-size", str(batch), "--out", str(out), *share]
    command = [sys.executable, "-m", "xaijax.cli", "explain", str(images), *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    printed = process.communicate(timeout=500)[0]
    assert process.returncode == 1, printed  # one image is damaged
    return printed


@pytest.fixture(scope="module")
def undisturbed(images, environment, tmp_path_factory):
    """Returns a function that tells what a run on so many devices leaves, and its seconds once all is compiled."""

    @functools.cache
    def left_alone(devices):
        folder = tmp_path_factory.mktemp("undisturbed")
        for name in ("first", "again"):
            started = time.monotonic()
            process = start(images, folder / name, environment | simulated(devices), batch=max(2, devices))
            assert f"{IMAGES - 1} of {IMAGES} images explained" in finish(process)
        assert contents(folder / "first") == contents(folder / "again")
        return contents(folder / "again"), time.monotonic() - started

    return left_alone


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "devices"), [(1, 1), (4, 1), (1, 8)])
def test_a_killed_run_ends_as_one_that_was_left_alone(images, environment, undisturbed, tmp_path, processes, devices):
    # More devices than cores have more threads, which round differently.
    (expected, seconds), moments = undisturbed(devices), random.Random(processes)
    environment = environment | simulated(devices)
    kills, runs, out = 0, 0, tmp_path / "run 0"

    def share(index, count):
        options = ("--processes", str(count), "--process-index", str(index))
        return start(images, out, environment, *options, batch=max(2, devices))

    while kills < KILLS:
        running = [share(index, processes) for index in range(processes)]
        time.sleep(moments.uniform(0.3, 1.0) * seconds * (1 if processes == 1 else 2))
        killed = moments.choice(running)
        killed.send_signal(signal.SIGKILL)
        printed = [process.communicate(timeout=500)[0] for process in running]
        kills += killed.returncode == -signal.SIGKILL
        if (out / "results.jsonl").exists():
            if killed.returncode == -signal.SIGKILL:  # perhaps after the results and before the page
                printed += [process.communicate(timeout=500)[0] for process in [share(0, 1)]]
            assert contents(out) == expected, printed
            runs += 1
            out = tmp_path / f"run {runs}"
    for process in [share(index, min(processes, 2)) for index in range(min(processes, 2))]:
        process.communicate(timeout=500)
    assert contents(out) == expected
    print(f"{kills} kills, {runs + 1} runs")


DEADLY = """
import os, sys
from xaijax.runtime.input import sources
decode = sources.decode_image
def deadly(content, name, channels):
    if name == "deadly.png":
        os.kill(os.getpid(), 9)
    return decode(content, name, channels)
sources.decode_image = deadly
from xaijax.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_an_image_that_kills_its_reader_is_set_aside_at_the_third_start_and_costs_no_other(
    images, environment, tmp_path
):
    folder, out = tmp_path / "scenes", tmp_path / "run"
    shutil.copytree(images, folder)
    shutil.copy(sorted(folder.glob("*.png"))[0], folder / "deadly.png")
    command = [sys.executable, "-c", DEADLY, "explain", str(folder), *COMMAND, "--out", str(out)]
    codes = [subprocess.run(command, env=environment, capture_output=True).returncode for _ in range(3)]
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 1]
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    errors = {Path(row["path"]).name: row["error"] for row in rows if "error" in row}
    assert len(rows) == IMAGES + 1
    assert len(errors) == 2  # with the one that is damaged
    assert "died twice in a row while it read this image" in errors["deadly.png"]
    assert not (out / "blocks").exists()
