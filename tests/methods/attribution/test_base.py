"""What all attribution methods have in common."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import ExtremalPerturbation, GradCAM, Grid, RandomSearch
from xaijax.batch import image_keys, make_batch
from xaijax.fitness import Targets
from xaijax.methods.attribution.base import attribute
from xaijax.models import load

pytestmark = pytest.mark.quick_compile

WORDS = np.array([[0, 1], [0, 2]], np.uint32)


def batch_of(images, rows):
    """Returns the keys and the batch of some images, each with `rows` classes."""
    classes = np.tile(np.arange(rows, dtype=np.int32), len(images))
    words, batch = make_batch(WORDS[: len(images)], images, Targets.of(classes))
    return image_keys(jax.random.key(0), words), jax.tree.map(jnp.asarray, batch)


@pytest.mark.parametrize("method", [ExtremalPerturbation(evaluations=8), GradCAM()], ids=["extremal", "grad-cam"])
def test_the_rows_of_an_image_share_its_pixels(method):
    classifier = load("scenes-resnet")
    keys, batch = batch_of(np.zeros((2, *classifier.input_size, 3), np.uint8), 3)
    scenario = method.plan(keys, classifier, batch).scenario
    assert len(scenario.images) == len(scenario.fills) == 2
    np.testing.assert_array_equal(scenario.contexts, [0, 0, 0, 1, 1, 1])


def test_a_result_without_a_batch_numbers_its_rows(toy_classifier, toy_images):
    keys, batch = batch_of(toy_images[:2], 1)
    plan = RandomSearch(evaluations=12, segmentation=Grid(4, 4), max_segments=32).plan(keys, toy_classifier, batch)
    np.testing.assert_array_equal(attribute(plan, toy_classifier, batch.targets, micro_batch=8).image_index, [0, 1])
