"""MobileNetV2.

References:
    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018), arXiv 1801.04381.
"""

import dataclasses

import jax
from flax import nnx

from xaijax.classifier import Taps
from xaijax.convolution import Padding
from xaijax.models.layers import ConvNorm, Head, image_by_image, relu6
from xaijax.models.mobilenet import InvertedResidual, round_channels
from xaijax.models.weights import Table, conv_norm_rows, linear_rows


@dataclasses.dataclass(frozen=True)
class MobileNetV2Config:
    """What distinguishes one MobileNetV2 from another.

    Attributes:
        width: multiplies every number of channels.
        stages: expansion, channels, blocks and first stride of each stage.
        kernels: of the depthwise convolutions, for each stage; 3 where there are none.
        stem: channels of the first convolution.
        last: channels of the last convolution, not multiplied below width 1.
        fixed_ends: whether `stem` and `last` are not multiplied at all.
    """

    width: float = 1.0
    stages: tuple[tuple[int, int, int, int], ...] = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    kernels: tuple[int, ...] = ()
    stem: int = 32
    last: int = 1280
    fixed_ends: bool = False


class MobileNetV2(nnx.Module):
    """Stem, stages of inverted residuals, 1x1 convolution, global mean, linear head.

    Taps: `stem`, `stage1`, `stage2`, ..., `last`.
    """

    def __init__(
        self,
        config: MobileNetV2Config,
        *,
        num_classes: int,
        channels: int = 3,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        self.config, self.padding = config, padding
        self.tap_names = ("stem", *(f"stage{i + 1}" for i in range(len(config.stages))), "last")
        ends = 1.0 if config.fixed_ends else config.width
        width = round_channels(config.stem * ends)
        self.stem = ConvNorm(channels, width, stride=2, padding=padding, activation=relu6, rngs=rngs)
        stages = []
        kernels = config.kernels or (3,) * len(config.stages)
        for (expansion, out, depth, first_stride), kernel_size in zip(config.stages, kernels, strict=True):
            out = round_channels(out * config.width)
            blocks = []
            for position in range(depth):
                stride = first_stride if position == 0 else 1
                blocks.append(
                    InvertedResidual(
                        width,
                        out,
                        stride=stride,
                        expansion=expansion,
                        kernel_size=kernel_size,
                        padding=padding,
                        rngs=rngs,
                    )
                )
                width = out
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        last = round_channels(config.last * max(1.0, ends))
        self.last = ConvNorm(width, last, 1, activation=relu6, rngs=rngs)
        self.head = Head(last, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", image_by_image(self.stem, x))
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = image_by_image(block, x)
            x = taps(f"stage{index + 1}", x)
        return self.head(taps("last", self.last(x)))


def torchvision_table(config: MobileNetV2Config) -> Table:
    """Returns the names of the arrays in torchvision, which numbers blocks and their convolutions consecutively."""
    table = conv_norm_rows("features.0.0", "features.0.1", "stem")
    number = 1
    for stage, (expansion, _, depth, _) in enumerate(config.stages):
        for block in range(depth):
            source, target = f"features.{number}.conv", f"stages.{stage}.{block}"
            parts = ["expand", "depthwise"] if expansion != 1 else ["depthwise"]
            for index, part in enumerate(parts):
                table |= conv_norm_rows(f"{source}.{index}.0", f"{source}.{index}.1", f"{target}.{part}")
            end = len(parts)
            table |= conv_norm_rows(f"{source}.{end}", f"{source}.{end + 1}", f"{target}.project")
            number += 1
    table |= conv_norm_rows(f"features.{number}.0", f"features.{number}.1", "last")
    return table | linear_rows("classifier.1", "head")


def timm_table(config: MobileNetV2Config) -> Table:
    """Returns the names of the arrays in timm, which numbers blocks by stage and names convolutions by function."""
    table = conv_norm_rows("conv_stem", "bn1", "stem")
    for stage, (expansion, _, depth, _) in enumerate(config.stages):
        for block in range(depth):
            table |= timm_block_rows(f"blocks.{stage}.{block}", f"stages.{stage}.{block}", expansion != 1)
    return table | conv_norm_rows("conv_head", "bn2", "last") | linear_rows("classifier", "head")


def timm_block_rows(source: str, target: str, expands: bool) -> Table:
    """Returns timm's names of one inverted residual block, without its squeeze and excitation."""
    if not expands:
        depthwise = conv_norm_rows(f"{source}.conv_dw", f"{source}.bn1", f"{target}.depthwise")
        return depthwise | conv_norm_rows(f"{source}.conv_pw", f"{source}.bn2", f"{target}.project")
    return (
        conv_norm_rows(f"{source}.conv_pw", f"{source}.bn1", f"{target}.expand")
        | conv_norm_rows(f"{source}.conv_dw", f"{source}.bn2", f"{target}.depthwise")
        | conv_norm_rows(f"{source}.conv_pwl", f"{source}.bn3", f"{target}.project")
    )
