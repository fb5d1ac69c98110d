"""Logits that the PyTorch originals gave, at an odd size, so that parity is tested where there is no PyTorch."""

import json

import numpy as np
import pytest

import xaijax
from tests.models.published import published_file, random_images
from tests.models.write_goldens import CASES, PATH, SIZE

GOLDEN = json.loads(PATH.read_text())


@pytest.mark.parametrize(("source", "name"), CASES)
def test_logits_are_the_originals(source, name, tmp_path):
    path = published_file(tmp_path, name, source.replace("tf_", "timm"))
    own = f"tf_{name}" if source == "tf_" else name
    classifier = xaijax.models.load(own, path, num_classes=10, mean=(0, 0, 0), std=(1, 1, 1))
    expected = np.array(GOLDEN[f"{source} {name}"])
    logits = np.asarray(classifier(random_images(SIZE)))
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()
