"""Weights as a network's source would publish them, random but the same everywhere, and the PyTorch originals."""

import functools
import sys
import types
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from xaijax.models.layers import ShapesOnly
from xaijax.models.weights import WeightLayout, flat_state
from xaijax.models.zoo import architecture

TIMM = {
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v1_125": "mobilenetv1_125",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v2": "mobilenetv2_100",
}


def random_array(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draws an array from its key: He-scaled weights, batch-norm statistics as training leaves them."""
    numbers = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        return numbers.uniform(0.5, 1.5, shape).astype(np.float32)
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) > 1:
        return (numbers.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    if key.endswith("weight"):
        return numbers.uniform(0.5, 1.0, shape).astype(np.float32)
    return (0.1 * numbers.normal(size=shape)).astype(np.float32)


def random_images(size: tuple[int, int], count: int = 2) -> np.ndarray:
    """Draws normalised images `[N, H, W, 3]` float32."""
    return np.random.default_rng(5).normal(size=(count, *size, 3)).astype(np.float32)


def layout_of(name: str, source: str) -> WeightLayout:
    """Returns the layout of network `name` whose source's name contains `source`."""
    return next(layout for layout in architecture(name).layouts() if source in layout.source)


def published_arrays(name: str, source: str, *, num_classes: int = 10, channels: int = 3) -> dict[str, np.ndarray]:
    """Returns random weights with a source's keys and shapes."""
    row = architecture(name)
    module = nnx.eval_shape(
        lambda: row.build(num_classes=num_classes, channels=channels, padding="symmetric", rngs=ShapesOnly())
    )
    targets = flat_state(module)
    arrays = {}
    for key, target in layout_of(name, source).table.items():
        if target is None:
            arrays[key] = random_array(key, ())
            continue
        shape = tuple(targets[target].shape)
        if len(shape) == 4:
            shape = (shape[3], shape[2], shape[0], shape[1])
        arrays[key] = random_array(key, shape[::-1] if len(shape) == 2 else shape)
    return arrays


def published_file(folder: Path, name: str, source: str, **options: int) -> Path:
    """Writes random weights with a source's keys as safetensors."""
    path = folder / f"{name}.safetensors"
    save_file({key: np.ascontiguousarray(a) for key, a in published_arrays(name, source, **options).items()}, str(path))
    return path


@functools.cache
def _torchvision() -> types.ModuleType:
    # The pure-Python model files suffice; the compiled operators, whose registration is stubbed, need not be there.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
    return pytest.importorskip("torchvision.models", reason="the PyTorch originals need torchvision")


def original(name: str, source: str, *, num_classes: int = 10):
    """Builds the PyTorch original with the random weights of its keys; skips the test where there is none."""
    torch = pytest.importorskip("torch", reason="the originals need PyTorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _build(name, source, num_classes).eval()
    state = {key: torch.from_numpy(random_array(key, tuple(a.shape))) for key, a in model.state_dict().items()}
    model.load_state_dict(state)
    return model


def _build(name: str, source: str, num_classes: int):
    if name.startswith("resnet") and name.endswith("_cifar"):
        return _cifar_resnet(int(name.split("_")[0].removeprefix("resnet")), num_classes)
    torchvision = _torchvision()
    if name.startswith("densenet_bc_"):
        from torch import nn

        depth, growth = (int(number) for number in name.split("_")[2:4])
        model = torchvision.densenet.DenseNet(growth, ((depth - 4) // 6,) * 3, 2 * growth, num_classes=num_classes)
        model.features.conv0 = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
        del model.features.norm0, model.features.relu0, model.features.pool0
        return model
    if name == "resnext101_32x16d":
        kind = torchvision.resnet
        return kind.ResNet(kind.Bottleneck, [3, 4, 23, 3], num_classes, groups=32, width_per_group=16)
    if source == "torchvision" and hasattr(torchvision, name):
        return getattr(torchvision, name)(num_classes=num_classes)
    if source == "torchvision" and name.startswith("mobilenet_v2_"):
        return torchvision.mobilenet_v2(width_mult=int(name[-3:]) / 100, num_classes=num_classes)
    timm = pytest.importorskip("timm", reason="this original needs timm")
    other = name.replace("mobilenet_v", "mobilenetv")
    if name.startswith("efficientnet_lite"):
        return timm.create_model(f"tf_{name}" if source == "tf_" else name, num_classes=num_classes)
    if source == "tf_":
        other = f"tf_{other}" if other[-3:].isdigit() else f"tf_{other}_100"
    return timm.create_model(TIMM.get(name, other) if source == "timm" else other, num_classes=num_classes)


def _cifar_resnet(depth: int, num_classes: int):
    """Builds the ResNet of He et al.'s section 4.2, with the parameter-free shortcut, in PyTorch."""
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, channels, out, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
            self.stride, self.widen = stride, (out - channels) // 2

        def forward(self, x):
            shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.widen, self.widen))
            return (shortcut + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            blocks = (depth - 2) // 6
            for stage, out in enumerate((16, 32, 64)):
                first = Block(16 if stage == 0 else out // 2, out, 1 if stage == 0 else 2)
                rest = [Block(out, out, 1) for _ in range(blocks - 1)]
                self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
            self.linear = nn.Linear(64, num_classes)

        def forward(self, x):
            x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
            return self.linear(x.mean(dim=(2, 3)))

    return Network()


def original_logits(model, images: np.ndarray) -> np.ndarray:
    """Returns the PyTorch logits `[N, K]` of `images` `[N, H, W, C]`."""
    import torch

    with torch.inference_mode():
        return model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
