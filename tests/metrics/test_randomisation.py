"""The cascade of randomised layers: which comes first, what is randomised, and what is left of the maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import spearmanr

from xaijax import Classifier
from xaijax.metrics import layers_from_top, parameter_paths, randomisation_cascade, randomise, spearman
from xaijax.models import load

pytestmark = pytest.mark.quick_compile

MAPS = hnp.arrays(np.float32, (2, 3, 4), elements=st.integers(-4, 4))


class Zigzag(nnx.Module):
    """Its names do not follow its order."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.head = nnx.Linear(3, 5, rngs=rngs)
        self.body = nnx.List([nnx.Linear(3, 3, rngs=rngs), nnx.Linear(3, 3, rngs=rngs)])
        self.stem = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, images):
        x = images.mean(axis=(1, 2))
        for layer in (self.stem, *self.body, self.head):
            x = nnx.relu(layer(x))
        return x


def test_layers_of_an_nnx_module_come_in_the_order_of_its_forward_pass():
    classifier = Classifier.from_nnx(Zigzag(), num_classes=5, input_size=(4, 4))
    layers = layers_from_top(classifier)
    assert [layer[0].rpartition("/")[0].split("/")[0] for layer in layers] == ["head", "body", "body", "stem"]
    assert [len(layer) for layer in layers] == [2, 2, 2, 2]
    assert sorted(sum(layers, ())) == sorted(parameter_paths(classifier))
    assert "1" in layers[1][0]


class Convolutional(linen.Module):
    @linen.compact
    def __call__(self, images):
        x = linen.Conv(4, (3, 3), name="z")(images)
        x = linen.BatchNorm(use_running_average=True, name="m")(x)
        return linen.Dense(5, name="a")(linen.relu(x).mean(axis=(1, 2)))


def test_layers_of_a_linen_module():
    module = Convolutional()
    variables = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    classifier = Classifier.from_linen(module, variables, num_classes=5, input_size=(4, 4))
    names = [layer[0].rpartition("/")[0] for layer in layers_from_top(classifier)]
    assert names[0] == "params/a"
    assert names[-1] == "params/z"
    assert sorted(names[1:3]) == ["batch_stats/m", "params/m"]


def test_layers_of_an_embedded_classifier():
    layers = layers_from_top(load("scenes-resnet"))
    assert layers[0][0].startswith("head")
    assert layers[-1][0].startswith("stem")
    stages = [int(layer[0].split("/")[1]) for layer in layers if layer[0].startswith("stages")]
    assert stages == sorted(stages, reverse=True)


def test_arrays_that_are_prepared_or_nested_or_not_used():
    @jax.jit
    def second(x, w):
        return jnp.tanh(x @ w)

    def forward(params, images):
        prepared = {name: 2 * value for name, value in params.items()}  # before any of them meets the image
        x = images.mean(axis=(1, 2)) @ prepared["z"]
        return second(x, prepared["y"]) @ prepared["a"]

    params = {name: jnp.ones((3, 3)) for name in ("a", "unused", "y", "z")}
    classifier = Classifier.from_function(forward, params, num_classes=3, input_size=(4, 4))
    assert layers_from_top(classifier) == (("a",), ("y",), ("z",), ("unused",))


def test_randomising_permutes_the_named_arrays_alone(toy_classifier):
    assert layers_from_top(toy_classifier) == (("out",), ("hidden",))
    changed = randomise(jax.random.key(0), toy_classifier, ["out"])
    np.testing.assert_array_equal(changed.params["hidden"], toy_classifier.params["hidden"])
    before, after = np.asarray(toy_classifier.params["out"]), np.asarray(changed.params["out"])
    assert (before != after).mean() > 0.9
    np.testing.assert_array_equal(np.sort(before, axis=None), np.sort(after, axis=None))
    again = randomise(jax.random.key(0), toy_classifier, ["out"])
    np.testing.assert_array_equal(again.params["out"], after)
    with pytest.raises(ValueError, match="inn: no parameter of this classifier, which has hidden, out"):
        randomise(jax.random.key(0), toy_classifier, ["inn"])


@jax.jit
def gradients(classifier, images):
    def logit(pixels):
        return classifier.apply(classifier.params, pixels)[0][:, 1].sum()

    return jax.grad(logit)(images).sum(axis=3)


def test_an_explanation_changes_with_the_network_and_an_edge_detector_does_not(toy_classifier, toy_images):
    images = toy_images[:4].astype(np.float32) / 255
    cascade = randomisation_cascade(jax.random.key(1), toy_classifier, images, gradients)
    assert cascade.layers == (("out",), ("hidden",))
    assert cascade.correlation.shape == (2, 4)
    assert np.abs(cascade.correlation).mean() < 0.6
    edges = randomisation_cascade(jax.random.key(1), toy_classifier, images, lambda _, images: images.sum(axis=3))
    np.testing.assert_allclose(edges.correlation, 1)
    one_step = randomisation_cascade(jax.random.key(1), toy_classifier, images, gradients, layers=[["hidden", "out"]])
    assert one_step.correlation.shape == (1, 4)


@given(MAPS, MAPS)
def test_spearman(first, second):
    found = spearman(first, second)
    for row, (a, b) in enumerate(zip(first.reshape(2, -1), second.reshape(2, -1), strict=True)):
        constant = len(set(a)) == 1 or len(set(b)) == 1
        np.testing.assert_allclose(found[row], 0 if constant else spearmanr(a, b).statistic, atol=1e-6)
    np.testing.assert_array_equal(found, spearman(np.exp(first), second))
    np.testing.assert_allclose(found, -spearman(-first, second), atol=1e-12)
    np.testing.assert_allclose(found, spearman(second, first), atol=1e-12)
    assert (np.abs(found) <= 1).all()
