"""Writes golden_logits.json with torchvision and timm: `python -m tests.models.write_goldens`."""

import json
from pathlib import Path

from tests.models.published import original, original_logits, random_images

PATH = Path(__file__).with_name("golden_logits.json")
SIZE = (65, 71)
CASES = [
    ("torchvision", "resnet18"),
    ("torchvision", "resnet50"),
    ("torchvision", "resnext50_32x4d"),
    ("torchvision", "densenet121"),
    ("timm", "mobilenet_v1"),
    ("torchvision", "mobilenet_v2"),
    ("timm", "mobilenet_v2_140"),
    ("torchvision", "mobilenet_v3_small"),
    ("timm", "mobilenet_v3_large"),
    ("tf_", "mobilenet_v3_small"),
    ("timm", "efficientnet_lite0"),
    ("tf_", "efficientnet_lite1"),
]

if __name__ == "__main__":
    golden = {}
    for source, name in CASES:
        logits = original_logits(original(name, source), random_images(SIZE))
        golden[f"{source} {name}"] = [[round(float(value), 6) for value in row] for row in logits]
    PATH.write_text(json.dumps(golden, indent=1) + "\n")
