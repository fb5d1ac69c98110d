"""Layers that the ports share: convolutions with a foldable batch norm, and the head."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from xaijax.convolution import CACHED_FLOATS, Padding, convolve, one_by_one

Activation = Callable[[jax.Array], jax.Array]


def relu6(x: jax.Array) -> jax.Array:
    """Returns `x` clipped to [0, 6]."""
    return jnp.clip(x, 0, 6)


class ConvNorm(nnx.Module):
    """A convolution, its batch norm (once folded: a bias), and an activation.

    Attributes:
        kernel: `[h, w, in / groups, out]`.
        norm: the batch norm, or None once folded.
        bias: `[out]`, present only once the batch norm is folded.
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
        self.kernel = nnx.Param(_draw(jax.nn.initializers.he_normal(), rngs, shape))
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
        self.kernel = nnx.Param(self.kernel[...] * scale[None, None, None])
        self.bias = nnx.Param(bias)
        self.norm = None


class Convolution(nnx.Module):
    """A convolution without batch norm or activation.

    Attributes:
        kernel: `[h, w, in, out]`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: Padding = "symmetric",
        rngs: nnx.Rngs,
    ) -> None:
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        self.kernel = nnx.Param(_draw(jax.nn.initializers.he_normal(), rngs, shape))
        self.stride, self.padding = stride, padding

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to `[N, H', W', out]`."""
        return convolve(x, self.kernel[...], stride=self.stride, padding=self.padding)


class NormActivation(nnx.Module):
    """A batch norm without a convolution before it (once folded: a scale and a bias), and a ReLU.

    Attributes:
        norm: the batch norm, or None once folded.
        scale: `[channels]`, present only once the batch norm is folded.
        bias: `[channels]`, present only once the batch norm is folded.
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
        self.scale = nnx.Param(scale)
        self.bias = nnx.Param(bias)
        self.norm = None


def _scale_and_bias(norm: Any) -> tuple[Any, Any]:
    # Arrays from a file are NumPy's; computing on them in NumPy is far quicker than one compilation per shape.
    variance = norm.var[...]
    root = np.sqrt if isinstance(variance, np.ndarray) else jnp.sqrt
    scale = norm.scale[...] / root(variance + variance.dtype.type(norm.epsilon))
    return scale, norm.bias[...] - norm.mean[...] * scale


def fold_batch_norms(module: nnx.Module, *, epsilon: float | None = None) -> None:
    """Folds every batch norm of `module` into the convolution before it, or into one scale, in place, for inference.

    Args:
        module: has `ConvNorm` and `NormActivation` parts.
        epsilon: that the batch norms were trained with; None takes the modules' own.
    """
    for _, part in nnx.iter_graph(module):
        if isinstance(part, ConvNorm | NormActivation) and part.norm is not None:
            if epsilon is not None:
                part.norm.epsilon = epsilon
            part.fold()


def image_by_image(layer: nnx.Module, x: jax.Array) -> jax.Array:
    """Applies a layer with folded batch norms; on CPU to one image at a time where its arrays outgrow the cache.

    MobileNetV2's first blocks take half of the time that way.

    Args:
        layer: maps images to images; has `ConvNorm` parts. With unfolded batch norms it is applied to the whole batch.
        x: `[N, H, W, C]`.

    Returns:
        `[N, H', W', D]`.
    """
    parts = [part for _, part in nnx.iter_graph(layer) if isinstance(part, ConvNorm)]
    largest = x.shape[1] * x.shape[2] * max(part.kernel.shape[3] for part in parts)
    if largest < CACHED_FLOATS or any(part.norm is not None for part in parts):
        return layer(x)
    return lax.platform_dependent(x, cpu=functools.partial(one_by_one, layer), default=layer)


class ShapesOnly(nnx.Rngs):
    """Stands in for `nnx.Rngs` where a module is built only for its shapes: one key for all, and nothing is drawn."""

    def __init__(self) -> None:
        self.key = jax.random.wrap_key_data(jnp.zeros(2, jnp.uint32))

    def params(self) -> jax.Array:
        """Returns the key."""
        return self.key


def _draw(initializer: jax.nn.initializers.Initializer, rngs: nnx.Rngs, shape: tuple[int, ...]) -> jax.Array:
    if isinstance(rngs, ShapesOnly):
        return jnp.zeros(shape, jnp.float32)
    return initializer(rngs.params(), shape, jnp.float32)


class Head(nnx.Module):
    """The global mean and a linear layer, both in float32 whatever the input, so that logits are not rounded.

    Attributes:
        kernel: `[in, classes]`.
        bias: `[classes]`.
    """

    def __init__(self, in_channels: int, num_classes: int, *, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(_draw(jax.nn.initializers.lecun_normal(), rngs, (in_channels, num_classes)))
        self.bias = nnx.Param(jnp.zeros((num_classes,), jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[N, H, W, in]` to logits `[N, classes]`; an image that is already `[N, in]` is not averaged."""
        if x.dtype != jnp.float32:
            # XLA of JAX 0.12 on CPU fuses a bfloat16 block with the mean that follows, and gives NaN.
            x = jax.lax.optimization_barrier(x)
        x = x.astype(jnp.float32)
        x = jnp.mean(x, axis=(1, 2)) if x.ndim == 4 else x
        return x @ self.kernel[...].astype(jnp.float32) + self.bias[...].astype(jnp.float32)[None]
