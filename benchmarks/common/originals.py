"""The PyTorch originals of the ports; needs torch and torchvision's model files, and nothing of JAX."""

import sys
import types
import warnings
from typing import Any


def torch_model(name: str) -> Any:
    """Builds torchvision's network, or a `densenet_bc_DEPTH_GROWTH_cifar` of its parts; its Python files suffice."""
    stub = "torchvision._meta_registrations"
    sys.modules.setdefault(stub, types.ModuleType(stub))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchvision.models

        if name.startswith("densenet_bc_"):
            return _cifar_densenet(*(int(number) for number in name.split("_")[2:4])).eval()
        return getattr(torchvision.models, name)().eval()


def _cifar_densenet(depth: int, growth: int) -> Any:
    from torch import nn
    from torchvision.models.densenet import DenseNet

    model = DenseNet(growth, ((depth - 4) // 6,) * 3, 2 * growth, num_classes=100)
    model.features.conv0 = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
    del model.features.norm0, model.features.relu0, model.features.pool0
    return model
