"""MobileNetV2.

References:
    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018), arXiv 1801.04381.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from xaijax.classifier import Taps
from xaijax.models.layers import ConvNorm, Padding, relu6
from xaijax.models.weights import Table, conv_norm_rows, linear_rows


@dataclasses.dataclass(frozen=True)
class MobileNetV2Config:
    """What distinguishes one MobileNetV2 from another.

    Attributes:
        width: multiplies every number of channels.
        stages: expansion, channels, blocks and first stride of each stage.
        stem: channels of the first convolution.
        last: channels of the last convolution, not multiplied below width 1.
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
    stem: int = 32
    last: int = 1280


def round_channels(channels: float, divisor: int = 8) -> int:
    """Rounds to a multiple of `divisor`, but never down by more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class InvertedResidual(nnx.Module):
    """Expands with a 1x1 convolution, filters depthwise, projects; beside a shortcut where the shapes allow."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expansion: int, padding: Padding, rngs: nnx.Rngs
    ) -> None:
        hidden = in_channels * expansion
        self.has_shortcut = stride == 1 and in_channels == out_channels
        self.expand: ConvNorm | None = nnx.data(None)
        if expansion != 1:
            self.expand = ConvNorm(in_channels, hidden, 1, activation=relu6, rngs=rngs)
        self.depthwise = ConvNorm(
            hidden, hidden, stride=stride, groups=hidden, padding=padding, activation=relu6, rngs=rngs
        )
        self.project = ConvNorm(hidden, out_channels, 1, activation=None, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H', W', out]`."""
        hidden = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(hidden))
        return x + out if self.has_shortcut else out


class MobileNetV2(nnx.Module):
    """Stem, stages of inverted residuals, 1x1 convolution, global mean, linear head. Taps: `stem`, `stage1` ..., `last`."""

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
        width = round_channels(config.stem * config.width)
        self.stem = ConvNorm(channels, width, stride=2, padding=padding, activation=relu6, rngs=rngs)
        stages = []
        for expansion, out, depth, first_stride in config.stages:
            out = round_channels(out * config.width)
            blocks = []
            for position in range(depth):
                stride = first_stride if position == 0 else 1
                blocks.append(InvertedResidual(width, out, stride, expansion, padding, rngs))
                width = out
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        last = round_channels(config.last * max(1.0, config.width))
        self.last = ConvNorm(width, last, 1, activation=relu6, rngs=rngs)
        self.head = nnx.Linear(last, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", self.stem(x))
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = block(x)
            x = taps(f"stage{index + 1}", x)
        x = taps("last", self.last(x))
        return self.head(jnp.mean(x, axis=(1, 2)))


def torchvision_table(config: MobileNetV2Config) -> Table:
    """Returns how torchvision names the arrays; see `xaijax.models.weights.Table`."""
    rows = [*conv_norm_rows(r"features\.0\.0", r"features\.0\.1", "stem")]
    number = 1
    for stage, (expansion, _, depth, _) in enumerate(config.stages):
        for block in range(depth):
            source, target = rf"features\.{number}\.conv", f"stages.{stage}.{block}"
            parts = ["expand", "depthwise"] if expansion != 1 else ["depthwise"]
            for index, part in enumerate(parts):
                rows += conv_norm_rows(rf"{source}\.{index}\.0", rf"{source}\.{index}\.1", f"{target}.{part}")
            rows += conv_norm_rows(rf"{source}\.{len(parts)}", rf"{source}\.{len(parts) + 1}", f"{target}.project")
            number += 1
    rows += conv_norm_rows(rf"features\.{number}\.0", rf"features\.{number}\.1", "last")
    return (*rows, *linear_rows(r"classifier\.1", "head"))
