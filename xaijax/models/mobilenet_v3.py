"""MobileNetV3, small and large.

References:
    Howard et al., Searching for MobileNetV3 (2019), arXiv 1905.02244.
"""

import dataclasses

import jax
from flax import nnx

from xaijax.classifier import Taps
from xaijax.convolution import Padding
from xaijax.models.layers import ConvNorm, Head, image_by_image
from xaijax.models.mobilenet import InvertedResidual, round_channels
from xaijax.models.mobilenet_v2 import timm_block_rows
from xaijax.models.weights import Table, conv_norm_rows, linear_rows

Stage = tuple[tuple[float, ...], int, int, int, bool, bool]
"""Expansion of each block, channels, depthwise kernel, first stride, squeeze and excitation, hard swish (else ReLU)."""

SMALL: tuple[Stage, ...] = (
    ((1,), 16, 3, 2, True, False),
    ((4.5, 3.67), 24, 3, 2, False, False),
    ((4, 6, 6), 40, 5, 2, True, True),
    ((3, 3), 48, 5, 1, True, True),
    ((6, 6, 6), 96, 5, 2, True, True),
)
LARGE: tuple[Stage, ...] = (
    ((1,), 16, 3, 1, False, False),
    ((4, 3), 24, 3, 2, False, False),
    ((3, 3, 3), 40, 5, 2, True, False),
    ((6, 2.5, 2.3, 2.3), 80, 3, 2, False, True),
    ((6, 6), 112, 3, 1, True, True),
    ((6, 6, 6), 160, 5, 2, True, True),
)


def minimalistic(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Returns the stages with 3x3 kernels, ReLU everywhere and no squeeze and excitation."""
    return tuple((expansions, out, 3, stride, False, False) for expansions, out, _, stride, _, _ in stages)


@dataclasses.dataclass(frozen=True)
class MobileNetV3Config:
    """What distinguishes one MobileNetV3 from another.

    Attributes:
        stages: `SMALL`, `LARGE`, or a variant of them.
        hidden: channels of the layer before the head, not multiplied.
        width: multiplies the other channels; below 0.75 not those of the stem.
        hard_swish: whether stem, last convolution and hidden layer use hard swish rather than ReLU.
    """

    stages: tuple[Stage, ...]
    hidden: int
    width: float = 1.0
    hard_swish: bool = True


class MobileNetV3(nnx.Module):
    """Stem, stages of inverted residuals, 1x1 convolution, global mean, hidden layer, linear head.

    Taps: `stem`, `block1`, `block2`, ... (numbered as in torchvision's `features`), `stage1`, ..., `last`.
    """

    def __init__(
        self,
        config: MobileNetV3Config,
        *,
        num_classes: int,
        channels: int = 3,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        self.config, self.padding = config, padding
        depth = sum(len(expansions) for expansions, *_ in config.stages)
        self.tap_names = (
            "stem",
            *(f"block{i + 1}" for i in range(depth)),
            *(f"stage{i + 1}" for i in range(len(config.stages))),
            "last",
        )
        activation = jax.nn.hard_swish if config.hard_swish else jax.nn.relu
        width = 16 if config.width < 0.75 else round_channels(16 * config.width)
        self.stem = ConvNorm(channels, width, stride=2, padding=padding, activation=activation, rngs=rngs)
        stages = []
        for expansions, out, kernel_size, first_stride, squeeze, hard_swish in config.stages:
            out = round_channels(out * config.width)
            blocks = []
            for position, expansion in enumerate(expansions):
                blocks.append(
                    InvertedResidual(
                        width,
                        out,
                        stride=first_stride if position == 0 else 1,
                        expansion=expansion,
                        kernel_size=kernel_size,
                        squeeze=squeeze,
                        activation=jax.nn.hard_swish if hard_swish else jax.nn.relu,
                        padding=padding,
                        rngs=rngs,
                    )
                )
                width = out
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        last = round_channels(6 * config.stages[-1][1] * config.width)
        self.last = ConvNorm(width, last, 1, activation=activation, rngs=rngs)
        self.hidden = Head(last, config.hidden, rngs=rngs)
        self.head = Head(config.hidden, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", image_by_image(self.stem, x))
        number = 1
        for index, blocks in enumerate(self.stages):
            for block in blocks:
                x = taps(f"block{number}", image_by_image(block, x))
                number += 1
            x = taps(f"stage{index + 1}", x)
        hidden = self.hidden(taps("last", self.last(x)))
        return self.head(jax.nn.hard_swish(hidden) if self.config.hard_swish else jax.nn.relu(hidden))


def torchvision_table(config: MobileNetV3Config) -> Table:
    """Returns the names of the arrays in torchvision, which numbers blocks and their convolutions consecutively."""
    table = conv_norm_rows("features.0.0", "features.0.1", "stem")
    number = 1
    for stage, (expansions, _, _, _, squeeze, _) in enumerate(config.stages):
        for block, expansion in enumerate(expansions):
            parts = [*(["expand"] if expansion != 1 else []), "depthwise", *(["squeeze"] if squeeze else []), "project"]
            for index, part in enumerate(parts):
                source, target = f"features.{number}.block.{index}", f"stages.{stage}.{block}.{part}"
                if part == "squeeze":
                    table |= linear_rows(f"{source}.fc1", f"{target}.reduce")
                    table |= linear_rows(f"{source}.fc2", f"{target}.expand")
                else:
                    table |= conv_norm_rows(f"{source}.0", f"{source}.1", target)
            number += 1
    table |= conv_norm_rows(f"features.{number}.0", f"features.{number}.1", "last")
    return table | linear_rows("classifier.0", "hidden") | linear_rows("classifier.3", "head")


def timm_table(config: MobileNetV3Config) -> Table:
    """Returns the names of the arrays in timm, which numbers blocks by stage and names convolutions by function."""
    table = conv_norm_rows("conv_stem", "bn1", "stem")
    for stage, (expansions, _, _, _, squeeze, _) in enumerate(config.stages):
        for block, expansion in enumerate(expansions):
            source, target = f"blocks.{stage}.{block}", f"stages.{stage}.{block}"
            table |= timm_block_rows(source, target, expansion != 1)
            if squeeze:
                table |= linear_rows(f"{source}.se.conv_reduce", f"{target}.squeeze.reduce")
                table |= linear_rows(f"{source}.se.conv_expand", f"{target}.squeeze.expand")
    end = f"blocks.{len(config.stages)}.0"
    table |= conv_norm_rows(f"{end}.conv", f"{end}.bn1", "last")
    return table | linear_rows("conv_head", "hidden") | linear_rows("classifier", "head")
