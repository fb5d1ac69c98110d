"""ResNet, wide ResNet, ResNeXt, and the ResNets for 32x32 images.

References:
    He et al., Deep Residual Learning for Image Recognition (2015), arXiv 1512.03385.
    Zagoruyko and Komodakis, Wide Residual Networks (2016), arXiv 1605.07146.
    Xie et al., Aggregated Residual Transformations for Deep Neural Networks (2016), arXiv 1611.05431.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from xaijax.classifier import Taps
from xaijax.convolution import Padding, max_pool
from xaijax.models.layers import ConvNorm, Head
from xaijax.models.weights import Table, conv_norm_rows, linear_rows


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """What distinguishes one ResNet from another.

    Attributes:
        stages: blocks in each stage.
        widths: channels of each stage; a bottleneck block outputs four times as many.
        bottleneck: whether a block is 1x1, 3x3, 1x1 (the stride in the 3x3) instead of two 3x3.
        groups: of a bottleneck's 3x3 convolution (ResNeXt).
        group_width: channels per group at width 64, scaled in proportion at other widths.
        shortcut: where shapes change, "projection" convolves the shortcut (1x1), "pad" takes every second pixel and
            adds channels of zeros on both sides.
        stem_stride: stride of the first convolution.
        stem_kernel: kernel size of the first convolution.
        stem_pool: whether a 3x3 max-pool of stride 2 follows it.
        head: name of the last layer in the weights' file.
    """

    stages: tuple[int, ...]
    widths: tuple[int, ...] = (64, 128, 256, 512)
    bottleneck: bool = False
    groups: int = 1
    group_width: int = 64
    shortcut: Literal["projection", "pad"] = "projection"
    stem_stride: int = 2
    stem_kernel: int = 7
    stem_pool: bool = True
    head: str = "fc"

    @property
    def expansion(self) -> int:
        """Output channels of a block relative to its width."""
        return 4 if self.bottleneck else 1


class Block(nnx.Module):
    """Two or three convolutions with a shortcut around them."""

    def __init__(
        self, in_channels: int, width: int, stride: int, config: ResNetConfig, padding: Padding, rngs: nnx.Rngs
    ) -> None:
        out = width * config.expansion
        self.out_channels, self.stride = out, stride
        self.conv3: ConvNorm | None = nnx.data(None)
        self.shortcut: ConvNorm | None = nnx.data(None)
        if config.bottleneck:
            inner = width * config.group_width // 64 * config.groups
            self.conv1 = ConvNorm(in_channels, inner, 1, rngs=rngs)
            self.conv2 = ConvNorm(inner, inner, stride=stride, groups=config.groups, padding=padding, rngs=rngs)
            self.conv3 = ConvNorm(inner, out, 1, activation=None, rngs=rngs)
        else:
            self.conv1 = ConvNorm(in_channels, width, stride=stride, padding=padding, rngs=rngs)
            self.conv2 = ConvNorm(width, width, padding=padding, activation=None, rngs=rngs)
        if config.shortcut == "projection" and (stride != 1 or in_channels != out):
            self.shortcut = ConvNorm(in_channels, out, 1, stride=stride, padding=padding, activation=None, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H', W', out]`."""
        branch = self.conv2(self.conv1(x))
        if self.conv3 is not None:
            branch = self.conv3(branch)
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif x.shape[3] != self.out_channels:
            padding = (self.out_channels - x.shape[3]) // 2
            x = jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (padding, padding)))
        return jax.nn.relu(branch + x)


class ResNet(nnx.Module):
    """Stem, stages of residual blocks, global mean, linear head. Taps: `stem`, `stage1`, `stage2`, ..."""

    def __init__(
        self,
        config: ResNetConfig,
        *,
        num_classes: int,
        channels: int = 3,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        self.config, self.padding = config, padding
        self.tap_names = ("stem", *(f"stage{i + 1}" for i in range(len(config.stages))))
        width = config.widths[0]
        self.stem = ConvNorm(channels, width, config.stem_kernel, stride=config.stem_stride, padding=padding, rngs=rngs)
        stages = []
        for index, (depth, inner) in enumerate(zip(config.stages, config.widths, strict=True)):
            blocks = []
            for position in range(depth):
                stride = 2 if index > 0 and position == 0 else 1
                blocks.append(Block(width, inner, stride, config, padding, rngs))
                width = blocks[-1].out_channels
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        self.head = Head(width, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", self.stem(x))
        if self.config.stem_pool:
            x = max_pool(x, 3, 2, self.padding)
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = block(x)
            x = taps(f"stage{index + 1}", x)
        return self.head(x)


def torchvision_table(config: ResNetConfig) -> Table:
    """Returns the names of the arrays in torchvision, timm and the CIFAR networks."""
    table = conv_norm_rows("conv1", "bn1", "stem")
    width = config.widths[0]
    for stage, (depth, inner) in enumerate(zip(config.stages, config.widths, strict=True)):
        for block in range(depth):
            source, target = f"layer{stage + 1}.{block}", f"stages.{stage}.{block}"
            for number in range(1, 4 if config.bottleneck else 3):
                table |= conv_norm_rows(f"{source}.conv{number}", f"{source}.bn{number}", f"{target}.conv{number}")
            changes = width != inner * config.expansion or (stage > 0 and block == 0)
            if changes and config.shortcut == "projection":
                table |= conv_norm_rows(f"{source}.downsample.0", f"{source}.downsample.1", f"{target}.shortcut")
            width = inner * config.expansion
    return table | linear_rows(config.head, "head")
