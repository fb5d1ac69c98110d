"""MobileNetV1.

References:
    Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications (2017),
    arXiv 1704.04861.
"""

import dataclasses

import jax
from flax import nnx

from xaijax.classifier import Taps
from xaijax.convolution import Padding
from xaijax.models.layers import ConvNorm, Head, image_by_image, relu6
from xaijax.models.mobilenet import round_channels
from xaijax.models.weights import Table, conv_norm_rows, linear_rows


@dataclasses.dataclass(frozen=True)
class MobileNetV1Config:
    """What distinguishes one MobileNetV1 from another.

    Attributes:
        width: multiplies every number of channels.
        stages: channels and blocks of each stage; every stage but the first begins with stride 2.
        stem: channels of the first convolution.
    """

    width: float = 1.0
    stages: tuple[tuple[int, int], ...] = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
    stem: int = 32


class SeparableBlock(nnx.Module):
    """A depthwise and a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, padding: Padding, rngs: nnx.Rngs) -> None:
        self.depthwise = ConvNorm(
            in_channels, in_channels, stride=stride, groups=in_channels, padding=padding, activation=relu6, rngs=rngs
        )
        self.project = ConvNorm(in_channels, out_channels, 1, activation=relu6, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H', W', out]`."""
        return self.project(self.depthwise(x))


class MobileNetV1(nnx.Module):
    """Stem, stages of separable blocks, global mean, linear head. Taps: `stem`, `stage1`, `stage2`, ..."""

    def __init__(
        self,
        config: MobileNetV1Config,
        *,
        num_classes: int,
        channels: int = 3,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        self.config, self.padding = config, padding
        self.tap_names = ("stem", *(f"stage{i + 1}" for i in range(len(config.stages))))
        width = round_channels(config.stem * config.width)
        self.stem = ConvNorm(channels, width, stride=2, padding=padding, activation=relu6, rngs=rngs)
        stages = []
        for index, (out, depth) in enumerate(config.stages):
            out = round_channels(out * config.width)
            blocks = []
            for position in range(depth):
                blocks.append(SeparableBlock(width, out, 2 if index > 0 and position == 0 else 1, padding, rngs))
                width = out
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        self.head = Head(width, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", image_by_image(self.stem, x))
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = image_by_image(block, x)
            x = taps(f"stage{index + 1}", x)
        return self.head(x)


def timm_table(config: MobileNetV1Config) -> Table:
    """Returns the names of the arrays in timm."""
    table = conv_norm_rows("conv_stem", "bn1", "stem")
    for stage, (_, depth) in enumerate(config.stages):
        for block in range(depth):
            source, target = f"blocks.{stage}.{block}", f"stages.{stage}.{block}"
            table |= conv_norm_rows(f"{source}.conv_dw", f"{source}.bn1", f"{target}.depthwise")
            table |= conv_norm_rows(f"{source}.conv_pw", f"{source}.bn2", f"{target}.project")
    return table | linear_rows("classifier", "head")
