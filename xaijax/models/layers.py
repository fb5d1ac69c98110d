"""Layers that the ports share: convolutions lowered to what is fast on each platform, and batch norm that can fold."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

Padding = Literal["symmetric", "same"]
"""`symmetric` pads both sides alike, as PyTorch does; `same` pads as TensorFlow does (more at the end)."""
Activation = Callable[[jax.Array], jax.Array]


def relu6(x: jax.Array) -> jax.Array:
    """Returns `x` clipped to [0, 6]."""
    return jnp.clip(x, 0, 6)


def spatial_padding(
    size: tuple[int, int], kernel: tuple[int, int], stride: int, padding: Padding
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the pixels to pad `(before, after)` in height and width for a kernel at a stride."""
    if padding == "symmetric":
        return (kernel[0] // 2, kernel[0] // 2), (kernel[1] // 2, kernel[1] // 2)
    totals = [max((-(-s // stride) - 1) * stride + k - s, 0) for s, k in zip(size, kernel, strict=True)]
    return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)


def convolve(x: jax.Array, kernel: jax.Array, *, stride: int = 1, groups: int = 1, padding: Padding) -> jax.Array:
    """Convolves images with a kernel.

    On CPU a 1x1 convolution is a matrix product (1.5 to 5 times faster than XLA's convolution) and a depthwise one is a
    sum of shifted products (8 to 40 times faster); elsewhere the library's convolution is the right one.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[h, w, C / groups, D]`.
        stride: in both directions.
        groups: channel groups; `groups == C` is depthwise.
        padding: see `Padding`.

    Returns:
        `[N, H', W', D]`.
    """
    pads = spatial_padding((x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1]), stride, padding)

    def library(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
        )

    if kernel.shape[:2] == (1, 1) and groups == 1:

        def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return jnp.einsum("nhwc,cd->nhwd", x[:, ::stride, ::stride], kernel[0, 0])

        return lax.platform_dependent(x, kernel, cpu=product, default=library)
    if groups == x.shape[3] == kernel.shape[3]:

        def shifted(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return _depthwise_by_shifts(x, kernel, stride, pads)

        return lax.platform_dependent(x, kernel, cpu=shifted, default=library)
    return library(x, kernel)


def _depthwise_by_shifts(
    x: jax.Array, kernel: jax.Array, stride: int, pads: tuple[tuple[int, int], tuple[int, int]]
) -> jax.Array:
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    height = (padded.shape[1] - kernel.shape[0]) // stride + 1
    width = (padded.shape[2] - kernel.shape[1]) // stride + 1
    total = jnp.zeros((), x.dtype)
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            rows = slice(row, row + (height - 1) * stride + 1, stride)
            columns = slice(column, column + (width - 1) * stride + 1, stride)
            total = total + padded[:, rows, columns] * kernel[row, column, 0][None, None, None]
    return total


class ConvNorm(nnx.Module):
    """A convolution, its batch norm (once folded: a bias), and an activation.

    Attributes:
        kernel: `[h, w, in / groups, out]`.
        norm: the batch norm, or None once it is folded.
        bias: `[out]`, only once the batch norm is folded.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        padding: Padding = "symmetric",
        activation: Activation | None = jax.nn.relu,
        epsilon: float = 1e-5,
        rngs: nnx.Rngs,
    ) -> None:
        shape = (kernel_size, kernel_size, in_channels // groups, out_channels)
        self.kernel = nnx.Param(jax.nn.initializers.he_normal()(rngs.params(), shape, jnp.float32))
        self.norm: nnx.BatchNorm | None = nnx.data(
            nnx.BatchNorm(out_channels, momentum=0.9, epsilon=epsilon, rngs=rngs)
        )
        self.stride, self.groups, self.padding, self.activation = stride, groups, padding, activation

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H', W', out]`."""
        x = convolve(x, self.kernel[...], stride=self.stride, groups=self.groups, padding=self.padding)
        x = self.norm(x) if self.norm is not None else x + self.bias[...][None, None, None]
        return x if self.activation is None else self.activation(x)

    def fold(self) -> None:
        """Moves the batch norm's running statistics into the kernel and a bias; the same function, less work."""
        if self.norm is None:
            return
        scale, bias = _scale_and_bias(self.norm)
        self.kernel, self.bias, self.norm = nnx.Param(self.kernel[...] * scale), nnx.Param(bias), None


class Convolution(nnx.Module):
    """A convolution alone.

    Attributes:
        kernel: `[h, w, in, out]`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        self.kernel = nnx.Param(jax.nn.initializers.he_normal()(rngs.params(), shape, jnp.float32))
        self.padding = padding

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H, W, out]`."""
        return convolve(x, self.kernel[...], padding=self.padding)


class NormActivation(nnx.Module):
    """A batch norm that no convolution precedes (once folded: a scale and a bias), and a ReLU.

    Attributes:
        norm: the batch norm, or None once it is folded.
        scale: `[channels]`, only once the batch norm is folded.
        bias: `[channels]`, only once the batch norm is folded.
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-5, rngs: nnx.Rngs) -> None:
        self.norm: nnx.BatchNorm | None = nnx.data(nnx.BatchNorm(channels, momentum=0.9, epsilon=epsilon, rngs=rngs))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, C]` to the same shape."""
        if self.norm is not None:
            return jax.nn.relu(self.norm(x))
        return jax.nn.relu(x * self.scale[...][None, None, None] + self.bias[...][None, None, None])

    def fold(self) -> None:
        """Makes one scale and one bias of the batch norm's four arrays; the same function, less work."""
        if self.norm is None:
            return
        scale, bias = _scale_and_bias(self.norm)
        self.scale, self.bias, self.norm = nnx.Param(scale), nnx.Param(bias), None


def _scale_and_bias(norm: nnx.BatchNorm) -> tuple[Any, Any]:
    # On NumPy arrays, as a file gives them, NumPy is far quicker than a compilation a shape.
    variance = norm.var[...]
    root = np.sqrt if isinstance(variance, np.ndarray) else jnp.sqrt
    scale = norm.scale[...] / root(variance + variance.dtype.type(norm.epsilon))
    return scale, norm.bias[...] - norm.mean[...] * scale


def fold_batch_norms(module: nnx.Module) -> None:
    """Folds every batch norm of `module` into the convolution before it, or into one scale, in place, for inference."""
    for _, part in nnx.iter_graph(module):
        if isinstance(part, ConvNorm | NormActivation):
            part.fold()


def max_pool(x: jax.Array, size: int, stride: int, padding: Padding) -> jax.Array:
    """Returns the maximum of each `size` x `size` window of `[N, H, W, C]`."""
    pads = spatial_padding((x.shape[1], x.shape[2]), (size, size), stride, padding)
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), ((0, 0), *pads, (0, 0)))


def mean_pool(x: jax.Array, size: int) -> jax.Array:
    """Returns the mean of each `size` x `size` window of `[N, H, W, C]`, side by side; what is left over is dropped."""
    count, height, width, channels = x.shape
    height, width = height // size, width // size
    x = x[:, : height * size, : width * size].reshape(count, height, size, width, size, channels)
    return jnp.mean(x, axis=(2, 4))
