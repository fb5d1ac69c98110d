"""EfficientNet-Lite: EfficientNets without squeeze and excitation, with ReLU6, for devices without much else.

References:
    Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (2019), arXiv 1905.11946.
    The `lite` folder of tensorflow/tpu's EfficientNet, for what is left out and what is not scaled.
"""

import dataclasses
import math

import jax
from flax import nnx

from xaijax.classifier import Taps
from xaijax.convolution import Padding
from xaijax.models.layers import ConvNorm, Head, image_by_image, relu6
from xaijax.models.mobilenet import InvertedResidual, round_channels
from xaijax.models.mobilenet_v2 import timm_block_rows
from xaijax.models.weights import Table, conv_norm_rows, linear_rows

STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""Expansion, channels, blocks, first stride and kernel of each stage, of width and depth 1."""


@dataclasses.dataclass(frozen=True)
class EfficientNetLiteConfig:
    """What distinguishes one EfficientNet-Lite from another.

    Attributes:
        width: multiplies the channels of all stages, but not those of the stem and the last convolution.
        depth: multiplies the blocks of all stages but the first and the last.
    """

    width: float = 1.0
    depth: float = 1.0

    @property
    def blocks(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        *_, last = range(len(STAGES))
        return tuple(
            depth if stage in (0, last) else math.ceil(self.depth * depth)
            for stage, (_, _, depth, _, _) in enumerate(STAGES)
        )


class EfficientNetLite(nnx.Module):
    """Stem, stages of inverted residuals, 1x1 convolution, global mean, linear head.

    Taps: `stem`, `stage1`, `stage2`, ..., `last`.
    """

    def __init__(
        self,
        config: EfficientNetLiteConfig,
        *,
        num_classes: int,
        channels: int = 3,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        self.config, self.padding = config, padding
        self.tap_names = ("stem", *(f"stage{i + 1}" for i in range(len(STAGES))), "last")
        width = 32
        self.stem = ConvNorm(channels, width, stride=2, padding=padding, activation=relu6, rngs=rngs)
        stages = []
        for (expansion, out, _, first_stride, kernel_size), depth in zip(STAGES, config.blocks, strict=True):
            out = round_channels(out * config.width)
            blocks = []
            for position in range(depth):
                blocks.append(
                    InvertedResidual(
                        width,
                        out,
                        stride=first_stride if position == 0 else 1,
                        expansion=expansion,
                        kernel_size=kernel_size,
                        padding=padding,
                        rngs=rngs,
                    )
                )
                width = out
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        self.last = ConvNorm(width, 1280, 1, activation=relu6, rngs=rngs)
        self.head = Head(1280, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", image_by_image(self.stem, x))
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = image_by_image(block, x)
            x = taps(f"stage{index + 1}", x)
        return self.head(taps("last", self.last(x)))


def timm_table(config: EfficientNetLiteConfig) -> Table:
    """Returns the names of the arrays in timm, which numbers blocks by stage and names convolutions by function."""
    table = conv_norm_rows("conv_stem", "bn1", "stem")
    for stage, depth in enumerate(config.blocks):
        for block in range(depth):
            table |= timm_block_rows(f"blocks.{stage}.{block}", f"stages.{stage}.{block}", stage > 0)
    return table | conv_norm_rows("conv_head", "bn2", "last") | linear_rows("classifier", "head")


def converted_table(config: EfficientNetLiteConfig) -> Table:
    """Returns the names in checkpoints converted from TensorFlow, which number all blocks consecutively."""
    table = conv_norm_rows("_conv_stem", "_bn0", "stem")
    number = 0
    for stage, depth in enumerate(config.blocks):
        for block in range(depth):
            source, target = f"_blocks.{number}", f"stages.{stage}.{block}"
            if stage > 0:
                table |= conv_norm_rows(f"{source}._expand_conv", f"{source}._bn0", f"{target}.expand")
            table |= conv_norm_rows(f"{source}._depthwise_conv", f"{source}._bn1", f"{target}.depthwise")
            table |= conv_norm_rows(f"{source}._project_conv", f"{source}._bn2", f"{target}.project")
            number += 1
    return table | conv_norm_rows("_conv_head", "_bn1", "last") | linear_rows("_fc", "head")
