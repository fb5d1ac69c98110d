"""Every published variant against its PyTorch original: random weights, 224 pixels and an odd size."""

import numpy as np
import pytest

import xaijax
from tests.models.published import original, original_logits, published_file, random_images

CASES = [
    *(("torchvision", f"resnet{depth}") for depth in (18, 34, 50, 101, 152)),
    *(("torchvision", f"wide_resnet{depth}_2") for depth in (50, 101)),
    *(("torchvision", f"resnext{tail}") for tail in ("50_32x4d", "101_32x8d", "101_64x4d")),
    *(("timm", name) for name in ("resnet26", "resnext101_32x4d")),
    *(("torchvision", f"densenet{depth}") for depth in (121, 161, 169, 201)),
    ("torchvision", "resnext101_32x16d"),
    *(("torchvision", f"densenet_bc_{tail}_cifar") for tail in ("100_12", "250_24", "190_40")),
    *(("CIFAR", f"resnet{depth}_cifar") for depth in (20, 32, 44, 56, 110)),
    *(("timm", f"mobilenet_v1{width}") for width in ("", "_125")),
    *(("torchvision", f"mobilenet_v2{width}") for width in ("", "_035", "_050", "_075", "_140")),
    *(("timm", f"mobilenet_v2{width}") for width in ("", "_035", "_050", "_075", "_110d", "_120d", "_140")),
    *(("torchvision", f"mobilenet_v3_{size}") for size in ("small", "large")),
    *(("timm", f"mobilenet_v3_{size}") for size in ("small", "small_050", "small_075", "large", "large_075")),
    *(("tf_", f"mobilenet_v3_{size}") for size in ("small", "small_075", "large", "large_075")),
    *(("tf_", f"mobilenet_v3_{size}_minimal") for size in ("small", "large")),
    *((source, f"efficientnet_lite{number}") for source in ("timm", "tf_") for number in range(5)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "name"), CASES)
def test_logits_equal_the_originals(source, name, tmp_path):
    model = original(name, source)
    path = published_file(tmp_path, name, source.replace("tf_", "timm"))
    own = f"tf_{name}" if source == "tf_" else name
    classifier = xaijax.models.load(
        own, path, num_classes=10, mean=(0, 0, 0), std=(1, 1, 1), labels=[str(i) for i in range(10)]
    )
    for size in ((33, 32) if "cifar" in name else (224, 224), (51, 45) if "cifar" in name else (159, 141)):
        images = random_images(size, 1)
        expected = original_logits(model, images)
        difference = np.abs(np.asarray(classifier(images)) - expected).max() / np.abs(expected).max()
        print(f"parity {source} {name} {size}: {difference:.1e}")
        assert difference <= 1e-4
