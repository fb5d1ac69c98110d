"""Networks of every family, exported from PyTorch: their logits are compared where they are loaded."""

import warnings

import numpy as np
import pytest

from tests.classifier.exported.families import REST, TEN, build
from xaijax import Classifier


def assert_logits_are_pytorchs(name):
    module, (channels, height, width) = build(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch.export and timm do
        classifier = Classifier.from_torch(module, num_classes=10, input_size=(height, width), channels=channels)
    import torch

    images = np.random.default_rng(1).uniform(size=(3, height, width, channels)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    difference = np.abs(np.asarray(classifier(images)) - expected).max() / np.abs(expected).max()
    print(f"parity {name}: {difference:.1e}")
    assert difference <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", TEN)
def test_logits_are_pytorchs(name):
    assert_logits_are_pytorchs(name)


@pytest.mark.outside
@pytest.mark.parametrize("name", REST)
def test_logits_of_the_other_families_are_pytorchs(name):
    assert_logits_are_pytorchs(name)
