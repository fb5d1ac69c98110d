"""Anybody's model becomes a classifier."""

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from xaijax import Classifier

IMAGES = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)


class NNXNet(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.out = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, images):
        return self.out(jnp.mean(self.drop(self.conv(images)), axis=(1, 2)))


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, images, train):
        x = linen.Dropout(0.5, deterministic=not train)(linen.Conv(4, (3, 3))(images))
        return linen.Dense(5)(jnp.mean(x, axis=(1, 2)))


@functools.partial(jax.tree_util.register_dataclass, data_fields=["weight", "function", "scale"], meta_fields=[])
class Module:
    """Shaped as Equinox shapes its modules: arrays, functions and numbers are all leaves; one image `[C, H, W]`."""

    def __init__(self, weight, function, scale):
        self.weight, self.function, self.scale = weight, function, scale

    def __call__(self, image):
        return self.function(self.scale * jnp.mean(image, axis=(1, 2)) @ self.weight)


def test_nnx_module_is_put_in_evaluation():
    module = NNXNet(nnx.Rngs(0))
    classifier = Classifier.from_nnx(module, num_classes=5)
    assert classifier(IMAGES).shape == (2, 5)
    np.testing.assert_array_equal(classifier(IMAGES), classifier(IMAGES))


def test_a_training_loop_that_explains_trains_on_as_before():
    class Trained(NNXNet):
        def __init__(self, rngs):
            super().__init__(rngs)
            self.norm = nnx.BatchNorm(5, rngs=rngs)

        def __call__(self, images):
            return self.norm(super().__call__(images))

    explained, undisturbed = Trained(nnx.Rngs(0)), Trained(nnx.Rngs(0))
    Classifier.from_nnx(explained, num_classes=5)(IMAGES)
    assert not explained.drop.deterministic
    assert not explained.norm.use_running_average
    for _ in range(2):  # dropout draws, and the running statistics move, as if nothing had been explained
        np.testing.assert_array_equal(explained(IMAGES), undisturbed(IMAGES))
    np.testing.assert_array_equal(explained.norm.mean, undisturbed.norm.mean)
    explained.eval()
    Classifier.from_nnx(explained, num_classes=5)
    assert explained.drop.deterministic


def test_linen_module_with_variables_and_arguments():
    module = LinenNet()
    variables = module.init(jax.random.key(0), jnp.asarray(IMAGES), train=False)
    classifier = Classifier.from_linen(module, variables, arguments={"train": False}, num_classes=5, mean=(0.5,) * 3)
    expected = module.apply(variables, jnp.asarray(IMAGES) - 0.5, train=False)
    np.testing.assert_allclose(classifier(IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert (
        classifier.apply
        == Classifier.from_linen(
            LinenNet(), variables, arguments={"train": False}, num_classes=5, mean=(0.5,) * 3
        ).apply
    )


def test_callable_pytree_of_one_image_channels_first():
    module = Module(jnp.ones((3, 5), jnp.float32), jax.nn.relu, 2.0)
    classifier = Classifier.from_callable(module, num_classes=5)
    assert [leaf.shape for leaf in jax.tree.leaves(classifier)] == [(3, 5)]
    np.testing.assert_allclose(classifier(IMAGES)[:, 0], 2 * IMAGES.mean(axis=(1, 2)).sum(axis=1), rtol=1e-5)


def test_callable_pytree_of_batches_channels_last():
    def forward(weight, images):
        return jnp.mean(images, axis=(1, 2)) @ weight

    module = jax.tree_util.Partial(forward, jnp.ones((3, 5), jnp.float32))
    classifier = Classifier.from_callable(module, num_classes=5, per_image=False, channels_first=False)
    np.testing.assert_allclose(classifier(IMAGES)[:, 0], IMAGES.mean(axis=(1, 2)).sum(axis=1), rtol=1e-5)


def test_equinox_itself():
    equinox = pytest.importorskip("equinox", reason="shows an Equinox module where it is installed")
    module = equinox.nn.Sequential(
        [
            equinox.nn.Conv2d(3, 4, 3, key=jax.random.key(0)),
            equinox.nn.Lambda(jax.nn.relu),
            equinox.nn.AdaptiveAvgPool2d(1),
            equinox.nn.Lambda(jnp.ravel),
            equinox.nn.Linear(4, 5, key=jax.random.key(1)),
        ]
    )
    with jax.numpy_rank_promotion("allow"):  # Equinox's pooling relies on it
        logits = Classifier.from_callable(module, num_classes=5)(IMAGES)
        expected = jax.vmap(module)(jnp.asarray(IMAGES).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def brightness(params, images):
    return jnp.mean(images, axis=(1, 2, 3))[:, None] * params


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_binary_function_of_any_channels(channels):
    images = np.full((2, 4, 4, channels), 51, np.uint8)
    facts = {"num_classes": 2, "channels": channels, "activation": "sigmoid", "labels": ["dark", "bright"]}
    classifier = Classifier.from_function(brightness, jnp.float32(10), **facts)
    np.testing.assert_allclose(classifier(images), np.full((2, 1), 2.0), rtol=1e-6)
    assert classifier.label(1) == "bright"
    half = Classifier.from_function(brightness, jnp.float32(10), dtype="bfloat16", **facts)(images)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, np.full((2, 1), 2.0), rtol=1e-2)


def test_facts_are_checked():
    with pytest.raises(ValueError, match=r"mean .* has 3 numbers; images of 1 channels need 1"):
        Classifier.from_function(brightness, None, num_classes=2, channels=1, mean=(0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="must be above 0"):
        Classifier.from_function(brightness, None, num_classes=2, std=(1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="3 labels were given for 2 classes"):
        Classifier.from_function(brightness, None, num_classes=2, labels=("a", "b", "c"))


def test_a_classifier_without_taps_says_so():
    classifier = Classifier.from_function(brightness, jnp.float32(1), num_classes=2)
    with pytest.raises(ValueError, match="stem: no tap of this classifier, whose taps are none"):
        classifier.apply(classifier.params, jnp.asarray(IMAGES), taps=("stem",))
