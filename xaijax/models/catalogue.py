"""The names of the zoo, and where embedded weights lie; without JAX, so that the command line lists them at once."""

from pathlib import Path

EMBEDDED = Path(__file__).parents[1] / "scenes" / "weights"
"""The folder of the weights that come with the package."""

NAMES = (
    "resnet18",
    "resnet34",
    "resnet26",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "resnext101_32x8d",
    "resnext101_32x16d",
    "resnext101_64x4d",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "mobilenet_v1",
    "mobilenet_v1_125",
    "mobilenet_v2",
    "mobilenet_v2_035",
    "mobilenet_v2_050",
    "mobilenet_v2_075",
    "mobilenet_v2_110d",
    "mobilenet_v2_120d",
    "mobilenet_v2_140",
    "mobilenet_v3_small",
    "mobilenet_v3_small_050",
    "mobilenet_v3_small_075",
    "mobilenet_v3_small_minimal",
    "mobilenet_v3_large",
    "mobilenet_v3_large_075",
    "mobilenet_v3_large_minimal",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
    "resnet20_cifar",
    "resnet32_cifar",
    "resnet44_cifar",
    "resnet56_cifar",
    "resnet110_cifar",
    "densenet_bc_100_12_cifar",
    "densenet_bc_250_24_cifar",
    "densenet_bc_190_40_cifar",
    "scenes-resnet",
    "scenes-densenet",
    "scenes-mobilenet",
)
"""In the order of `architectures.ARCHITECTURES`, which has a row for each."""


def names() -> tuple[str, ...]:
    """Returns the names that `load` knows."""
    return NAMES


def is_embedded(name: str) -> bool:
    """Returns whether the weights of network `name` come with the package."""
    return (EMBEDDED / name).is_dir()
