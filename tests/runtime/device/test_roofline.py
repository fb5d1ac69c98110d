"""What the devices do at most: that as much is done as is counted, and how a run is held against it."""

import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import Classifier
from xaijax.runtime.device.roofline import Roofline, bare_passes, flops_of_a_pass, forward_rate, matrix_product_rate

pytestmark = pytest.mark.quick_compile

PIXELS, CLASSES = 16 * 16 * 3, 5


def one_layer(params, images):
    return images.reshape(len(images), -1) @ params


@pytest.fixture(scope="module")
def classifier():
    weights = jnp.full((PIXELS, CLASSES), 1 / PIXELS, jnp.float32)
    return Classifier.from_function(one_layer, weights, num_classes=CLASSES, input_size=(16, 16))


def test_as_many_passes_are_made_as_are_asked_for(classifier):
    images = jnp.full((4, 16, 16, 3), 51, jnp.uint8)  # of logits 0.2
    total = bare_passes(classifier, images, np.int32(7), 4)
    np.testing.assert_allclose(total, np.full((4, CLASSES), 7 * 0.2), rtol=1e-5)


def test_a_layer_has_its_operations(classifier):
    assert flops_of_a_pass(classifier) == pytest.approx(2 * PIXELS * CLASSES, rel=0.1)


def test_matrix_products_are_faster_than_passes_of_a_tiny_layer(classifier):
    achieved = forward_rate(classifier, 4, seconds=0.05) * 2 * PIXELS * CLASSES
    assert matrix_product_rate("float32", side=256, seconds=0.05) > achieved > 0


def test_the_roofline_tells_both_shares():
    line = str(Roofline(evaluations_per_s=90.0, forward_per_s=100.0, flops_per_s=5.4e9, matrix_flops_per_s=6e10))
    assert line == (
        "roofline: 90 evaluations per second, 90% of bare forward passes (100); 5.4 GFLOP/s, 9% of matrix products "
        "(60.0)"
    )
    uncounted = str(Roofline(evaluations_per_s=1.0, forward_per_s=2.0, flops_per_s=None, matrix_flops_per_s=1.0))
    assert uncounted == "roofline: 1 evaluations per second, 50% of bare forward passes (2)"
