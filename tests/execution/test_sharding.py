"""Images over the devices of a process: the same results as on one."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, json, sys
import jax, numpy as np
from xaijax import ELIME, Classifier, explain
from tests.conftest import CLASSES, mean_logits

random = np.random.default_rng(0)
params = {"hidden": random.normal(size=(48, 32)), "out": random.normal(size=(32, CLASSES))}
params = jax.tree.map(lambda leaf: np.float32(leaf), params)
classifier = Classifier.from_function(mean_logits, params, num_classes=CLASSES, input_size=(16, 16))
images = np.repeat(np.repeat(random.integers(0, 255, (8, 4, 4, 3)), 4, axis=1), 4, axis=2).astype(np.uint8)
method = ELIME(evaluations=40, segmentation="grid", max_segments=64)
start = random.normal(size=(8, 16, 16)).astype(np.float32)
count = int(sys.argv[1])
found = explain(jax.random.key(0), classifier, images[:count], "top2", method=method, start=start[:count])
told = {"devices": len(jax.local_devices())}
reports = []
steps = explain(
    jax.random.key(0), classifier, images[:count], "top2", method=method, start=start[:count], report=reports.append
)
assert len(steps.genome.devices()) == min(len(jax.local_devices()), count)
assert len(reports[-1].best) == 2 * count
np.testing.assert_array_equal(steps.genome, found.genome)
np.testing.assert_array_equal(steps.image_index, found.image_index)
for field in ("genome", "mask", "score", "probability", "history", "status", "image_index", "target"):
    rows = np.asarray(getattr(found, field))
    told[field] = [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in rows]
print(json.dumps(told))
"""


def results_on(devices, count):
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    command = [sys.executable, "-c", PROGRAM, str(count)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert told.pop("devices") == devices
    return told


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "count"), [(2, 5), (8, 3)])
def test_any_number_of_devices_gives_the_same_and_so_does_a_batch_that_does_not_divide(devices, count, alone):
    found = results_on(devices, count)
    assert found == {field: rows[: 2 * count] for field, rows in alone.items()}
    assert len(set(found["genome"])) > 1


@pytest.fixture(scope="module")
def alone():
    return results_on(1, 5)


REPEATED = """
import jax, numpy as np
from xaijax import ExtremalPerturbation, Classifier, explain
from tests.conftest import CLASSES, mean_logits

random = np.random.default_rng(0)
params = {"hidden": random.normal(size=(48, 32)), "out": random.normal(size=(32, CLASSES))}
params = jax.tree.map(lambda leaf: np.float32(leaf), params)
classifier = Classifier.from_function(mean_logits, params, num_classes=CLASSES, input_size=(16, 16))
images = random.integers(0, 255, (5, 16, 16, 3)).astype(np.uint8)
method = ExtremalPerturbation(evaluations=20)
for _ in range(8):
    found = explain(jax.random.key(0), classifier, images, "top2", method=method, repeats=2)
    print(np.asarray(found.stability.frequency).shape, np.asarray(found.image_index).tolist())
"""


@pytest.mark.slow
def test_repeats_over_devices_do_not_wait_for_each_other():
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    told = subprocess.run(
        [sys.executable, "-c", REPEATED], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert told.splitlines() == ["(10, 16, 16) [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]"] * 8
