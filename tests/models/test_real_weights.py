"""The published weights of the shared data give their networks' own logits on photographs."""

import csv

import jax
import numpy as np
import pytest
from PIL import Image

import xaijax
from tests.shared_data import shared, weights

HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "padding": "same"}
IMAGENET = {
    "resnet18_imagenet_pqf": ("resnet18", {}),
    "resnet50_imagenet_pqf": ("resnet50", {}),
    "mobilenet_v2_imagenet_torchvision_qat": ("mobilenet_v2", {}),
    "mobilenet_v2_imagenet_google_same_pad": ("mobilenet_v2", HALF),
    "mobilenet_v3_small_imagenet_google_same_pad": ("mobilenet_v3_small", HALF),
}
CIFAR = {
    "resnet20_cifar10_akamaster": "resnet20_cifar",
    "resnet56_cifar10_akamaster": "resnet56_cifar",
    "densenet_bc_100_12_cifar100": "densenet_bc_100_12_cifar",
}


@pytest.fixture(scope="module")
def photographs():
    with (shared("images/imagenet_val_boxes") / "boxes.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = [np.asarray(Image.open(shared("images/imagenet_val_boxes") / row["image"]).convert("RGB")) for row in rows]
    return np.stack(images)[:, 1:225, 1:225], [row["name"] for row in rows]


def in_batches(classifier, images, size=25):
    return np.concatenate([classifier(images[i : i + size]) for i in range(0, len(images), size)])


def assert_same(logits, expected):
    np.testing.assert_array_equal(logits.argmax(axis=1), expected.argmax(axis=1))
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    print(f"relative difference {difference:.1e}")
    assert difference <= 1e-3


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet_logits(name, photographs):
    images, names = photographs
    network, options = IMAGENET[name]
    classifier = xaijax.models.load(network, weights(name), **options)
    logits = in_batches(classifier, images)
    assert_same(logits, np.load(shared("reference/imagenet_val_boxes_logits.npz"))[name])
    assert [classifier.label(int(target)) for target in logits.argmax(axis=1)] == names


@pytest.mark.parametrize("name", CIFAR)
def test_cifar_logits(name):
    images = np.load(shared("cifar10/cifar10_test_200.npz"))["images"]
    expected = np.load(shared("reference/cifar10_test_200_logits.npz"))[name.removesuffix("_cifar10_akamaster")]
    classifier = xaijax.models.load(CIFAR[name], weights(name))
    assert_same(in_batches(classifier, images, 100), expected)


# MobileNetV2's narrow residual stream rounds more than ResNet's: the most that a probability moves is 0.042.
BFLOAT16 = {"resnet18_imagenet_pqf": 0.03, "mobilenet_v2_imagenet_torchvision_qat": 0.05}


@pytest.mark.slow
@pytest.mark.parametrize("name", BFLOAT16)
def test_bfloat16_sees_the_same(name, photographs):
    network, options = IMAGENET[name]
    classifier = xaijax.models.load(network, weights(name), dtype="bfloat16", **options)
    logits = in_batches(classifier, photographs[0])
    assert logits.dtype == np.float32
    expected = np.load(shared("reference/imagenet_val_boxes_logits.npz"))[name]
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).sum() >= 98
    relative = np.abs(logits - expected).max() / np.abs(expected).max()
    target = expected.argmax(axis=1)[:, None]
    probability = [np.take_along_axis(np.asarray(jax.nn.softmax(each)), target, 1) for each in (logits, expected)]
    difference = np.abs(probability[0] - probability[1]).max()
    print(f"bfloat16 {name}: relative {relative:.1e}, probability {difference:.1e}")
    assert relative <= 5e-2
    assert difference <= BFLOAT16[name]
