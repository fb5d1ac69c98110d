"""Where the work of a batch is laid out: image by image, or all images at once as on an accelerator."""

import collections
import dataclasses
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import xaijax
from tests.jaxprs import equations
from xaijax.batch import make_batch
from xaijax.execution.compiled import explain_batch
from xaijax.execution.placement import Placement, platform_of
from xaijax.fitness import Targets
from xaijax.methods.registry import METHODS
from xaijax.scenes.generator import generate


def explained(classifier, images, method, parallel):
    """Explains images in either form, as the compiled program of a batch does; traceable."""
    words = np.repeat(np.arange(len(images), dtype=np.uint32)[:, None], 2, axis=1)
    words, batch = make_batch(words, images, Targets.of(np.full((len(images),), -1, np.int32)))
    return explain_batch(jax.random.key(0), words, classifier, batch, method, Placement(32, 1, parallel))


def compare_forms(name):
    """Prints of 64 scenes how many genomes both forms find alike, and how far the scores of these differ at most."""
    classifier = xaijax.models.load("scenes-resnet")
    images = np.asarray(generate(jax.random.split(jax.random.key(1), 64)).image)
    compiled = jax.jit(explained, static_argnums=(2, 3))
    method = METHODS[name](evaluations=120)
    one_by_one, at_once = (jax.device_get(compiled(classifier, images, method, form)) for form in (False, True))
    same = np.all(one_by_one.genome == at_once.genome, axis=1)
    apart = np.abs(one_by_one.score - at_once.score).max(axis=(1, 2)) / np.abs(one_by_one.score).max(axis=(1, 2))
    print(json.dumps({"same": float(np.mean(same)), "apart": float(np.max(apart[same]))}))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elime", "binary-masks", "lime", "greedy"])
def test_all_images_at_once_give_the_same_genomes_and_nearly_the_same_scores(name):
    # With its usual order of operations XLA's CPU runtime never ends the form for accelerators.
    environment = os.environ | {"XLA_FLAGS": "--xla_cpu_enable_concurrency_optimized_scheduler=false"}
    command = f"from tests.execution.test_placement import compare_forms; compare_forms({name!r})"
    printed = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True, timeout=500
    ).stdout
    found = json.loads(printed.splitlines()[-1])
    assert found["same"] >= 0.95
    assert found["apart"] <= 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_no_loop_takes_as_many_turns_as_there_are_images(name):
    classifier = xaijax.models.load("scenes-resnet")
    fields = {field.name for field in dataclasses.fields(METHODS[name])}
    method = METHODS[name](**{"evaluations": 60} if "evaluations" in fields else {})

    def turns(count, *, parallel):
        images = np.zeros((count, *classifier.input_size, 3), np.uint8)
        traced = jax.make_jaxpr(lambda batch: explained(classifier, batch, method, parallel))(images)
        return collections.Counter(
            equation.params["length"] for equation in equations(traced.jaxpr) if equation.primitive.name == "scan"
        )

    assert turns(5, parallel=True) == turns(7, parallel=True)
    assert turns(5, parallel=False) != turns(7, parallel=False)


def test_the_platform_is_that_of_the_images_device():
    assert platform_of(np.zeros(3)) == jax.default_backend()
    assert platform_of(jax.device_put(np.zeros(3), jax.devices("cpu")[0])) == "cpu"
