"""Runs that are killed at any moment and started again end as those that were left alone."""

import os
import random
import signal
import subprocess
import sys
import time

import jax
import pytest
from PIL import Image

from tests.runtime.run_files import contents
from xaijax.scenes.generator import generate

KILLS = int(os.environ.get("XAIJAX_KILLS", "2"))
"""How often a run is killed before it is left alone."""

COMMAND = (
    *("--model", "scenes-resnet", "--evaluations", "60", "--segmentation", "grid"),
    *("--batch-size", "2", "--block-size", "3"),
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return os.environ | {
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    for place, image in enumerate(jax.device_get(generate(jax.random.split(jax.random.key(3), 24))).image):
        Image.fromarray(image).save(folder / f"{place:02d}.png")
    (folder / "07.png").write_bytes(b"damaged")
    return folder


def start(images, out, environment, *more):
    command = [sys.executable, "-m", "xaijax.cli", "explain", str(images), *COMMAND, "--out", str(out), *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    printed = process.communicate(timeout=500)[0]
    assert process.returncode == 1, printed  # one image is damaged
    return printed


@pytest.fixture(scope="module")
def undisturbed(images, environment, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    started = time.monotonic()
    assert "23 of 24 images explained" in finish(start(images, out, environment))
    first = time.monotonic() - started
    again = tmp_path_factory.mktemp("again") / "run"
    started = time.monotonic()
    finish(start(images, again, environment))
    assert contents(again) == contents(out)
    return contents(out), min(time.monotonic() - started, first)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 4])
def test_a_killed_run_ends_as_one_that_was_left_alone(images, environment, undisturbed, tmp_path, processes):
    expected, seconds = undisturbed
    out, moments = tmp_path / "run", random.Random(processes)
    for _ in range(KILLS):
        shares = [("--processes", str(processes), "--process-index", str(index)) for index in range(processes)]
        running = [start(images, out, environment, *share) for share in shares]
        time.sleep(moments.uniform(0.3, 1.0) * seconds * (1 if processes == 1 else 2))
        killed = moments.choice(running)
        killed.send_signal(signal.SIGKILL)
        for process in running:
            if process is not killed and processes > 1:
                process.communicate(timeout=500)
            else:
                process.communicate()
        if (out / "results.jsonl").exists():  # it was faster than the signal
            break
    shares = [("--processes", "2", "--process-index", str(index)) for index in range(2)] if processes > 1 else [()]
    for process in [start(images, out, environment, *share) for share in shares]:
        process.communicate(timeout=500)
    assert contents(out) == expected
