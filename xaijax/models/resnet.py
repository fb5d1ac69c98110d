"""ResNet.

References:
    He et al., Deep Residual Learning for Image Recognition (2015), arXiv 1512.03385.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from xaijax.classifier import Taps
from xaijax.models.layers import ConvNorm, Padding, max_pool


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """What distinguishes one ResNet from another.

    Attributes:
        stages: blocks in each stage.
        widths: output channels of each stage.
        stem_stride: stride of the first convolution.
        stem_kernel: its size.
        stem_pool: whether a 3x3 max-pool of stride 2 follows it.
    """

    stages: tuple[int, ...]
    widths: tuple[int, ...]
    stem_stride: int = 2
    stem_kernel: int = 7
    stem_pool: bool = True


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, in_channels: int, width: int, stride: int, padding: Padding, rngs: nnx.Rngs) -> None:
        self.conv1 = ConvNorm(in_channels, width, stride=stride, padding=padding, rngs=rngs)
        self.conv2 = ConvNorm(width, width, padding=padding, activation=None, rngs=rngs)
        self.shortcut: ConvNorm | None = nnx.data(None)
        if stride != 1 or in_channels != width:
            self.shortcut = ConvNorm(in_channels, width, 1, stride=stride, padding=padding, activation=None, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H', W', width]`."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return jax.nn.relu(self.conv2(self.conv1(x)) + shortcut)


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
        self.stem = ConvNorm(
            channels, config.widths[0], config.stem_kernel, stride=config.stem_stride, padding=padding, rngs=rngs
        )
        stages = []
        width = config.widths[0]
        for index, (depth, out) in enumerate(zip(config.stages, config.widths, strict=True)):
            blocks = []
            for position in range(depth):
                stride = 2 if index > 0 and position == 0 else 1
                blocks.append(BasicBlock(width, out, stride, padding, rngs))
                width = out
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        self.head = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", self.stem(x))
        if self.config.stem_pool:
            x = max_pool(x, 3, 2, self.padding)
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = block(x)
            x = taps(f"stage{index + 1}", x)
        return self.head(jnp.mean(x, axis=(1, 2)))
