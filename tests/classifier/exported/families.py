"""Networks of torchvision and timm, one of each family, with all their arrays drawn anew."""

import math
import sys
import types
import warnings
from pathlib import Path

import pytest

TEN = (
    "torchvision:resnet18",
    "torchvision:densenet121",
    "torchvision:mobilenet_v3_small",
    "torchvision:vit_b_16",
    "torchvision:swin_t",
    "timm:efficientnet_lite0",
    "timm:convnext_atto",
    "timm:vit_tiny_patch16_224",
    "timm:mixer_s16_224",
    "timm:nfnet_f0",
)
"""Tried at every change."""

ALL = tuple((Path(__file__).parent / "families.txt").read_text().split())
"""One or more of each family."""

REST = tuple(name for name in ALL if name not in TEN)
"""Tried by hand: `pytest -m outside tests/classifier`."""


def build(name):
    """Returns a network with 10 classes and the shape of its images; skips the test where its library is missing."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    # The pure-Python model files suffice; the compiled operators, whose registration is stubbed, need not be there.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
    library, _, network = name.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "torchvision":
            models = pytest.importorskip("torchvision.models", reason="needs torchvision")
            module, shape = getattr(models, network)(num_classes=10), (3, 224, 224)
        else:
            timm = pytest.importorskip("timm", reason="needs timm")
            module = timm.create_model(network, num_classes=10)
            shape = module.default_cfg["input_size"]
    _draw_anew(torch, module)
    return module.eval(), shape


def _draw_anew(torch, module):
    """Draws every parameter and buffer, so that no branch hides at its initial zero; scales lie around 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, array in (*module.named_parameters(), *module.named_buffers()):
            if not array.is_floating_point():
                continue
            if name.endswith("running_var"):
                array.copy_(torch.rand(array.shape, generator=generator) + 0.5)
            elif array.ndim > 1:
                share = 1 / math.sqrt(math.prod(array.shape[1:]))
                array.copy_(torch.randn(array.shape, generator=generator) * share)
            elif any(word in name.rpartition(".")[2] for word in ("weight", "gamma", "scale")):
                array.copy_(torch.rand(array.shape, generator=generator) * 0.5 + 0.75)
            else:
                array.copy_(0.1 * torch.randn(array.shape, generator=generator))
