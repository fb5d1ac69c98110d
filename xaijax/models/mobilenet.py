"""Parts shared by the MobileNets: the rounding of channels, and the inverted residual block.

References:
    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018), arXiv 1801.04381.
    Howard et al., Searching for MobileNetV3 (2019), arXiv 1905.02244.
"""

import jax
from flax import nnx

from xaijax.convolution import Padding
from xaijax.models.layers import Activation, ConvNorm, Head, relu6


def round_channels(channels: float, divisor: int = 8) -> int:
    """Rounds to a multiple of `divisor`, but never down by more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class SqueezeExcitation(nnx.Module):
    """Weights the channels by two small layers applied to their means over the image.

    References:
        Hu et al., Squeeze-and-Excitation Networks (2017), arXiv 1709.01507.
    """

    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        hidden = round_channels(channels / 4)
        self.reduce = Head(channels, hidden, rngs=rngs)
        self.expand = Head(hidden, channels, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, C]` to the same shape."""
        weights = jax.nn.hard_sigmoid(self.expand(jax.nn.relu(self.reduce(x))))
        return x * weights.astype(x.dtype)[:, None, None]


class InvertedResidual(nnx.Module):
    """Expands with a 1x1 convolution, filters depthwise and projects; with a shortcut where the shapes allow."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        expansion: float,
        kernel_size: int = 3,
        squeeze: bool = False,
        activation: Activation = relu6,
        padding: Padding,
        rngs: nnx.Rngs,
    ) -> None:
        hidden = in_channels if expansion == 1 else round_channels(in_channels * expansion)
        self.has_shortcut = stride == 1 and in_channels == out_channels
        self.expand: ConvNorm | None = nnx.data(None)
        self.squeeze: SqueezeExcitation | None = nnx.data(None)
        if expansion != 1:
            self.expand = ConvNorm(in_channels, hidden, 1, activation=activation, rngs=rngs)
        self.depthwise = ConvNorm(
            hidden,
            hidden,
            kernel_size,
            stride=stride,
            groups=hidden,
            padding=padding,
            activation=activation,
            rngs=rngs,
        )
        if squeeze:
            self.squeeze = SqueezeExcitation(hidden, rngs)
        self.project = ConvNorm(hidden, out_channels, 1, activation=None, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H', W', out]`."""
        hidden = self.depthwise(x if self.expand is None else self.expand(x))
        out = self.project(hidden if self.squeeze is None else self.squeeze(hidden))
        return x + out if self.has_shortcut else out
