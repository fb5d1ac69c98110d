"""DenseNet.

References:
    Huang et al., Densely Connected Convolutional Networks (2016), arXiv 1608.06993.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from xaijax.classifier import Taps
from xaijax.convolution import Padding, max_pool, mean_pool
from xaijax.models.layers import ConvNorm, Convolution, Head, NormActivation
from xaijax.models.weights import Table, conv_norm_rows, linear_rows, norm_rows


@dataclasses.dataclass(frozen=True)
class DenseNetConfig:
    """What distinguishes one DenseNet from another.

    Attributes:
        stages: dense layers in each block.
        growth: channels that each dense layer adds.
        stem: channels of the first convolution.
        bottleneck: the 1x1 convolution of a layer has this many times `growth` channels.
        stem_stride: stride of the first convolution.
        stem_kernel: kernel size of the first convolution.
        stem_norm: whether a batch norm and a ReLU follow it.
        stem_pool: whether a 3x3 max-pool of stride 2 follows that.
    """

    stages: tuple[int, ...]
    growth: int = 32
    stem: int = 64
    bottleneck: int = 4
    stem_stride: int = 2
    stem_kernel: int = 7
    stem_norm: bool = True
    stem_pool: bool = True


class DenseLayer(nnx.Module):
    """Batch norm, 1x1 convolution and 3x3 convolution, whose output is concatenated to the input's channels."""

    def __init__(self, in_channels: int, config: DenseNetConfig, padding: Padding, rngs: nnx.Rngs) -> None:
        hidden = config.bottleneck * config.growth
        self.norm = NormActivation(in_channels, rngs=rngs)
        self.reduce = ConvNorm(in_channels, hidden, 1, rngs=rngs)
        self.grow = Convolution(hidden, config.growth, 3, padding=padding, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H, W, in + growth]`."""
        return jnp.concatenate([x, self.grow(self.reduce(self.norm(x)))], axis=3)


class Transition(nnx.Module):
    """Batch norm, mean of 2x2 pixels, 1x1 convolution to half the channels.

    The original convolves before it pools; both are linear and commute, and this order is a quarter of the work.
    """

    def __init__(self, in_channels: int, rngs: nnx.Rngs) -> None:
        self.norm = NormActivation(in_channels, rngs=rngs)
        self.reduce = Convolution(in_channels, in_channels // 2, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H // 2, W // 2, in // 2]`."""
        return self.reduce(mean_pool(self.norm(x), 2))


class DenseNet(nnx.Module):
    """Stem, dense blocks with transitions between them, global mean, linear head. Taps: `stem`, `stage1`, `stage2`, ...

    A stage's tap is the output of its dense block, before the transition; that of the last stage is the input of the
    global mean.
    """

    def __init__(
        self,
        config: DenseNetConfig,
        *,
        num_classes: int,
        channels: int = 3,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        self.config, self.padding = config, padding
        self.tap_names = ("stem", *(f"stage{i + 1}" for i in range(len(config.stages))))
        width = config.stem
        stem = ConvNorm if config.stem_norm else Convolution
        self.stem: ConvNorm | Convolution = stem(
            channels, width, config.stem_kernel, stride=config.stem_stride, padding=padding, rngs=rngs
        )
        stages, transitions = [], []
        for index, depth in enumerate(config.stages):
            if index > 0:
                transitions.append(Transition(width, rngs))
                width //= 2
            stages.append(
                nnx.List([DenseLayer(width + i * config.growth, config, padding, rngs) for i in range(depth)])
            )
            width += depth * config.growth
        self.stages, self.transitions = nnx.List(stages), nnx.List(transitions)
        self.norm = NormActivation(width, rngs=rngs)
        self.head = Head(width, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        x = taps("stem", self.stem(x))
        if self.config.stem_pool:
            x = max_pool(x, 3, 2, self.padding)
        for index, layers in enumerate(self.stages):
            if index > 0:
                x = self.transitions[index - 1](x)
            for layer in layers:
                x = layer(x)
            if index == len(self.stages) - 1:
                x = self.norm(x)
            x = taps(f"stage{index + 1}", x)
        return self.head(x)


def torchvision_table(config: DenseNetConfig, dot: str = "") -> Table:
    """Returns the names of the arrays in torchvision and timm; `dot="."` gives the older `norm.1` for `norm1`."""
    table: Table = {"features.conv0.weight": "stem.kernel"}
    if config.stem_norm:
        table |= norm_rows("features.norm0", "stem.norm")
    for stage, depth in enumerate(config.stages):
        for layer in range(depth):
            source = f"features.denseblock{stage + 1}.denselayer{layer + 1}"
            target = f"stages.{stage}.{layer}"
            table |= norm_rows(f"{source}.norm{dot}1", f"{target}.norm.norm")
            table |= conv_norm_rows(f"{source}.conv{dot}1", f"{source}.norm{dot}2", f"{target}.reduce")
            table |= {f"{source}.conv{dot}2.weight": f"{target}.grow.kernel"}
        if stage < len(config.stages) - 1:
            source, target = f"features.transition{stage + 1}", f"transitions.{stage}"
            table |= norm_rows(f"{source}.norm", f"{target}.norm.norm")
            table |= {f"{source}.conv.weight": f"{target}.reduce.kernel"}
    return table | norm_rows("features.norm5", "norm.norm") | linear_rows("classifier", "head")
