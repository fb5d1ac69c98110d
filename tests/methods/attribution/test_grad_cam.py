"""Grad-CAM against NumPy: class activation maps, and finite differences of a tap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from xaijax import Classifier, GradCAM, Status, explain
from xaijax.methods.attribution.grad_cam import find_tap
from xaijax.models import load
from xaijax.scenes.generator import generate

KEY = jax.random.key(0)


class Tapped(nnx.Module):
    """A smooth network of three activations: a row of tiles, a map of tiles, and a vector."""

    tap_names = ("row", "tiles", "vector")

    def __init__(self, outputs):
        random = np.random.default_rng(2)
        self.first = nnx.Param(jnp.asarray(random.normal(size=(3, 6)), jnp.float32))
        self.second = nnx.Param(jnp.asarray(random.normal(size=(4, 4, 6, 5)), jnp.float32))
        self.third = nnx.Param(jnp.asarray(random.normal(size=(5, outputs)), jnp.float32))

    def __call__(self, x, taps):
        x = x.reshape(len(x), 4, 4, 4, 4, 3).mean(axis=(2, 4))
        taps("row", x[:, 0])
        x = taps("tiles", jnp.tanh(x @ self.first[...]))
        x = taps("vector", jnp.tanh(jnp.einsum("nhwc,hwcd->nd", x, self.second[...])))
        return x @ self.third[...]


@pytest.fixture(scope="module")
def tapped():
    return Classifier.from_nnx(Tapped(4), num_classes=4)


@pytest.fixture(scope="module")
def scenes():
    return np.asarray(generate(jax.random.split(jax.random.key(7), 5)).image)


@pytest.fixture(scope="module")
def of_scenes(scenes):
    return explain(KEY, load("scenes-resnet"), scenes, method=GradCAM(area=0.2))


def resized(small, size):
    """Resizes a map bilinearly, pixel centres at half integers, one axis after the other."""
    for axis in (0, 1):
        at = (np.arange(size) + 0.5) * small.shape[axis] / size - 0.5
        small = np.apply_along_axis(lambda line, at=at: np.interp(at, np.arange(len(line)), line), axis, small)
    return small


def highest(score, area):
    """Returns the mask of the pixels of highest score."""
    count = round(area * score.size)
    return (np.argsort(np.argsort(-score.reshape(-1), kind="stable")) < count).reshape(score.shape)


def test_before_a_mean_and_a_linear_layer_it_is_the_class_activation_map(scenes, of_scenes):
    classifier = load("scenes-resnet")
    logits, taps = classifier.apply(classifier.params, scenes / np.float32(255), taps=("stage3",))
    activation = np.asarray(taps["stage3"], np.float64)
    head = np.asarray(next(leaf for leaf in jax.tree.leaves(classifier.params) if leaf.shape == (128, 10)))
    for row in range(len(scenes)):
        target = int(np.argmax(logits[row]))
        assert of_scenes.target[row] == target
        small = activation[row] @ head[:, target] / 16
        score = resized(np.maximum(small, 0), 64)
        np.testing.assert_allclose(of_scenes.score[row], score, rtol=1e-3, atol=1e-4 * score.max())
        same = np.asarray(of_scenes.mask[row]) == highest(np.where(score > 0, score, resized(small, 64)), 0.2)
        assert same.mean() > 0.999


def test_probability_and_area_are_those_of_the_mask(scenes, of_scenes):
    np.testing.assert_allclose(of_scenes.area, np.asarray(of_scenes.mask).mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(of_scenes.area, 0.2, atol=1e-3)
    probability = np.asarray(jax.nn.softmax(load("scenes-resnet")(scenes), axis=1)).max(axis=1)
    np.testing.assert_allclose(of_scenes.original_probability, probability, rtol=1e-4)
    assert np.all(of_scenes.evaluations == 5)
    assert np.all(of_scenes.status == int(Status.SPENT))


def test_an_image_gets_the_same_alone(scenes, of_scenes):
    alone = explain(KEY, load("scenes-resnet"), scenes[3:4], method=GradCAM(area=0.2))
    for name in ("score", "mask", "probability", "target"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(of_scenes, name)[3])


@pytest.mark.parametrize("outputs", [4, 1])
def test_weights_are_the_mean_gradients_of_the_logit(outputs, toy_images):
    activation = "sigmoid" if outputs == 1 else "softmax"
    classifier = Classifier.from_nnx(Tapped(outputs), num_classes=outputs, activation=activation)
    targets = np.array([-1, 1, 0], np.int32)
    result = explain(KEY, classifier, toy_images[:3], targets, method=GradCAM(fill="black"))
    for row in range(3):
        image = toy_images[row : row + 1] / np.float32(255)
        logits, taps = classifier.apply(classifier.params, image, taps=("tiles",))
        target = int(result.target[row])
        predicted = int(np.argmax(logits[0])) if outputs > 1 else int(logits[0, 0] > 0)
        assert target == (targets[row] if targets[row] >= 0 else predicted)

        def logit(step, image=image, target=target):
            logits, _ = classifier.apply(classifier.params, image, perturbations={"tiles": step})
            return float(logits[0, target]) if outputs > 1 else float(logits[0, 0]) * (target - 0.5)

        steps = 0.002 * np.eye(6, dtype=np.float32)[:, None, None, None]  # one channel, everywhere
        steps = np.broadcast_to(steps, (6, 1, 4, 4, 6))
        weights = np.array([(logit(step) - logit(-step)) / 0.004 / 16 for step in steps])
        score = resized(np.maximum(np.asarray(taps["tiles"][0]) @ weights, 0), 16)
        np.testing.assert_allclose(result.score[row], score, atol=2e-3 * max(score.max(), 0.1))


def test_the_last_spatial_tap_is_the_default(tapped):
    assert find_tap(None, tapped, (16, 16, 3)) == ("tiles", (1, 4, 4, 6))
    assert find_tap(None, load("scenes-resnet"), (64, 64, 3)) == ("stage3", (1, 4, 4, 128))


def test_what_cannot_be_weighted_is_refused(tapped, toy_classifier, toy_images):
    with pytest.raises(ValueError, match="offers none"):
        explain(KEY, toy_classifier, toy_images, method=GradCAM())
    with pytest.raises(ValueError, match="choose one of row, tiles, vector"):
        explain(KEY, tapped, toy_images, method=GradCAM(tap="stage4"))
    with pytest.raises(ValueError, match=r"\(1, 5\) but Grad-CAM needs .* choose one of tiles"):
        explain(KEY, tapped, toy_images, method=GradCAM(tap="vector"))
    with pytest.raises(ValueError, match="area is 1"):
        GradCAM(area=1.0)
