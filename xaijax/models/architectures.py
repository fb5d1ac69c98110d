"""The table of the zoo: one row per network."""

import dataclasses
import difflib
import functools
from collections.abc import Callable
from typing import Any

from flax import nnx

from xaijax.models import densenet, efficientnet_lite, mobilenet_v1, mobilenet_v2, mobilenet_v3, resnet
from xaijax.models.weights import WeightLayout

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A row of the zoo.

    Attributes:
        build: `build(num_classes=, channels=, padding=, rngs=)` makes the module.
        layouts: makes the layouts of published weights; none where none are published.
        num_classes: of the published weights.
        input_size: height and width, pixels.
        resize: see `Classifier.resize`.
        mean: of the published weights.
        std: of the published weights.
    """

    build: Callable[..., nnx.Module]
    layouts: Callable[[], tuple[WeightLayout, ...]] = tuple
    num_classes: int = 1000
    input_size: tuple[int, int] = (224, 224)
    resize: int | None = 256
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def _resnet(*stages: int, wide: int = 64, groups: int = 1, bottleneck: bool = True) -> Architecture:
    config = resnet.ResNetConfig(stages, bottleneck=bottleneck, groups=groups, group_width=wide)
    return Architecture(
        functools.partial(resnet.ResNet, config),
        lambda: (WeightLayout("torchvision and timm", resnet.torchvision_table(config)),),
    )


def _densenet(*stages: int, growth: int = 32, stem: int = 64) -> Architecture:
    config = densenet.DenseNetConfig(stages, growth=growth, stem=stem)
    return Architecture(functools.partial(densenet.DenseNet, config), functools.partial(_densenet_layouts, config))


def _densenet_layouts(config: densenet.DenseNetConfig) -> tuple[WeightLayout, ...]:
    return (
        WeightLayout("torchvision and timm", densenet.torchvision_table(config)),
        WeightLayout("torchvision's older files", densenet.torchvision_table(config, dot=".")),
    )


def _mobilenet_v1(width: float) -> Architecture:
    config = mobilenet_v1.MobileNetV1Config(width)
    return Architecture(
        functools.partial(mobilenet_v1.MobileNetV1, config),
        lambda: (WeightLayout("timm", mobilenet_v1.timm_table(config)),),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
    )


def _mobilenet_v2(width: float, depths: tuple[int, ...] | None = None) -> Architecture:
    config = mobilenet_v2.MobileNetV2Config(width)
    if depths is not None:
        stages = tuple((*stage[:2], depth, stage[3]) for stage, depth in zip(config.stages, depths, strict=True))
        config = dataclasses.replace(config, stages=stages, fixed_ends=True)
    return Architecture(
        functools.partial(mobilenet_v2.MobileNetV2, config),
        lambda: (
            WeightLayout("torchvision", mobilenet_v2.torchvision_table(config)),
            WeightLayout("timm", mobilenet_v2.timm_table(config)),
        ),
    )


def _mobilenet_v3(stages: tuple[mobilenet_v3.Stage, ...], width: float = 1.0, minimal: bool = False) -> Architecture:
    hidden = 1280 if stages == mobilenet_v3.LARGE else 1024
    stages = mobilenet_v3.minimalistic(stages) if minimal else stages
    config = mobilenet_v3.MobileNetV3Config(stages, hidden, width, hard_swish=not minimal)
    return Architecture(
        functools.partial(mobilenet_v3.MobileNetV3, config),
        lambda: (
            WeightLayout("torchvision", mobilenet_v3.torchvision_table(config), epsilon=1e-3),
            WeightLayout("timm", mobilenet_v3.timm_table(config), same_epsilon=1e-3),
        ),
    )


def _efficientnet_lite(width: float, depth: float, side: int) -> Architecture:
    config = efficientnet_lite.scaled(width, depth)
    converted = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3, "interpolation": "bicubic"}
    return Architecture(
        functools.partial(mobilenet_v2.MobileNetV2, config),
        lambda: (
            WeightLayout("timm", mobilenet_v2.timm_table(config), same_epsilon=1e-3),
            WeightLayout(
                "TensorFlow's, converted",
                efficientnet_lite.converted_table(config),
                epsilon=1e-3,
                padding="same",
                facts=converted,
            ),
        ),
        input_size=(side, side),
        resize=round(side / 0.875),
    )


def _small(num_classes: int, **facts: Any) -> dict[str, Any]:
    return {"num_classes": num_classes, "input_size": (32, 32), "resize": None} | facts


def _cifar_resnet(depth: int) -> Architecture:
    config = resnet.ResNetConfig(
        ((depth - 2) // 6,) * 3,
        (16, 32, 64),
        shortcut="pad",
        stem_stride=1,
        stem_kernel=3,
        stem_pool=False,
        head="linear",
    )
    return Architecture(
        functools.partial(resnet.ResNet, config),
        lambda: (WeightLayout("the CIFAR networks", resnet.torchvision_table(config)),),
        **_small(10),
    )


def _cifar_densenet(depth: int, growth: int) -> Architecture:
    config = densenet.DenseNetConfig(
        ((depth - 4) // 6,) * 3, growth, stem=2 * growth, stem_stride=1, stem_kernel=3, stem_norm=False, stem_pool=False
    )
    return Architecture(
        functools.partial(densenet.DenseNet, config),
        functools.partial(_densenet_layouts, config),
        **_small(100, mean=(-0.03454357, -0.02418536, -0.03090256), std=(0.08743895, 0.0870557, 0.09753682)),
    )


def _scenes(build: Callable[..., nnx.Module]) -> Architecture:
    return Architecture(build, **_small(10, input_size=(64, 64), mean=(0.5,) * 3, std=(0.25,) * 3))


_SCENES_RESNET = resnet.ResNetConfig((1, 1, 1), (32, 64, 128), stem_kernel=5)
_SCENES_DENSENET = densenet.DenseNetConfig((2, 4, 6), growth=24, stem=32, stem_kernel=5)
_SCENES_MOBILENET = mobilenet_v2.MobileNetV2Config(
    stages=((1, 16, 1, 2), (4, 32, 2, 1), (4, 64, 3, 2), (4, 96, 2, 2)), stem=24, last=256
)

ARCHITECTURES: dict[str, Architecture] = {
    "resnet18": _resnet(2, 2, 2, 2, bottleneck=False),
    "resnet34": _resnet(3, 4, 6, 3, bottleneck=False),
    "resnet26": _resnet(2, 2, 2, 2),
    "resnet50": _resnet(3, 4, 6, 3),
    "resnet101": _resnet(3, 4, 23, 3),
    "resnet152": _resnet(3, 8, 36, 3),
    "wide_resnet50_2": _resnet(3, 4, 6, 3, wide=128),
    "wide_resnet101_2": _resnet(3, 4, 23, 3, wide=128),
    "resnext50_32x4d": _resnet(3, 4, 6, 3, wide=4, groups=32),
    "resnext101_32x4d": _resnet(3, 4, 23, 3, wide=4, groups=32),
    "resnext101_32x8d": _resnet(3, 4, 23, 3, wide=8, groups=32),
    "resnext101_32x16d": _resnet(3, 4, 23, 3, wide=16, groups=32),
    "resnext101_64x4d": _resnet(3, 4, 23, 3, wide=4, groups=64),
    "densenet121": _densenet(6, 12, 24, 16),
    "densenet161": _densenet(6, 12, 36, 24, growth=48, stem=96),
    "densenet169": _densenet(6, 12, 32, 32),
    "densenet201": _densenet(6, 12, 48, 32),
    "mobilenet_v1": _mobilenet_v1(1.0),
    "mobilenet_v1_125": _mobilenet_v1(1.25),
    "mobilenet_v2": _mobilenet_v2(1.0),
    "mobilenet_v2_035": _mobilenet_v2(0.35),
    "mobilenet_v2_050": _mobilenet_v2(0.5),
    "mobilenet_v2_075": _mobilenet_v2(0.75),
    "mobilenet_v2_110d": _mobilenet_v2(1.1, depths=(1, 3, 4, 5, 4, 4, 1)),
    "mobilenet_v2_120d": _mobilenet_v2(1.2, depths=(1, 3, 5, 6, 5, 5, 1)),
    "mobilenet_v2_140": _mobilenet_v2(1.4),
    "mobilenet_v3_small": _mobilenet_v3(mobilenet_v3.SMALL),
    "mobilenet_v3_small_050": _mobilenet_v3(mobilenet_v3.SMALL, 0.5),
    "mobilenet_v3_small_075": _mobilenet_v3(mobilenet_v3.SMALL, 0.75),
    "mobilenet_v3_small_minimal": _mobilenet_v3(mobilenet_v3.SMALL, minimal=True),
    "mobilenet_v3_large": _mobilenet_v3(mobilenet_v3.LARGE),
    "mobilenet_v3_large_075": _mobilenet_v3(mobilenet_v3.LARGE, 0.75),
    "mobilenet_v3_large_minimal": _mobilenet_v3(mobilenet_v3.LARGE, minimal=True),
    "efficientnet_lite0": _efficientnet_lite(1.0, 1.0, 224),
    "efficientnet_lite1": _efficientnet_lite(1.0, 1.1, 240),
    "efficientnet_lite2": _efficientnet_lite(1.1, 1.2, 260),
    "efficientnet_lite3": _efficientnet_lite(1.2, 1.4, 280),
    "efficientnet_lite4": _efficientnet_lite(1.4, 1.8, 300),
    "resnet20_cifar": _cifar_resnet(20),
    "resnet32_cifar": _cifar_resnet(32),
    "resnet44_cifar": _cifar_resnet(44),
    "resnet56_cifar": _cifar_resnet(56),
    "resnet110_cifar": _cifar_resnet(110),
    "densenet_bc_100_12_cifar": _cifar_densenet(100, 12),
    "densenet_bc_250_24_cifar": _cifar_densenet(250, 24),
    "densenet_bc_190_40_cifar": _cifar_densenet(190, 40),
    "scenes-resnet": _scenes(functools.partial(resnet.ResNet, _SCENES_RESNET)),
    "scenes-densenet": _scenes(functools.partial(densenet.DenseNet, _SCENES_DENSENET)),
    "scenes-mobilenet": _scenes(functools.partial(mobilenet_v2.MobileNetV2, _SCENES_MOBILENET)),
}


def own_name(name: str) -> str:
    """Returns the zoo's name for timm's, such as `mobilenet_v3_small` for `tf_mobilenetv3_small_100.in1k`."""
    name = name.partition(".")[0].removeprefix("tf_").replace("mobilenetv", "mobilenet_v")
    return name.removesuffix("_100") if name.startswith("mobilenet_") else name


def architecture(name: str) -> Architecture:
    """Returns a row of the zoo; raises ValueError, with the nearest names, for an unknown name."""
    row = ARCHITECTURES.get(own_name(name))
    if row is None:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=3) or ARCHITECTURES
        raise ValueError(f"model {name!r} is unknown; did you mean {', '.join(near)}? `xaijax models` lists all.")
    return row
