"""The forward passes of classifiers: one hashable function of the parameters for the networks of each library."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

Parameters = Any
"""A pytree of arrays."""

Apply = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]
"""`apply(params, images, taps=(), perturbations=None) -> (logits, activations)`.

`images` is `[N, H, W, C]` float32 in [0, 1]; normalisation is inside. `logits` is `[N, K]` float32. `activations` holds
one array for each name in `taps`; `perturbations` maps tap names to arrays that are added there. Hashable, so that a
compiled search can be reused.
"""

Dtype = Literal["float32", "bfloat16"]
"""The floating-point type that a network computes in; its logits are float32 in either case."""


class Taps:
    """Records the requested activations by name, and adds the given perturbations to activations.

    A network calls it where an activation may be of interest: `x = taps("stage1", x)`.
    """

    def __init__(self, names: tuple[str, ...] = (), perturbations: Mapping[str, jax.Array] | None = None) -> None:
        self.names = names
        self.perturbations = perturbations or {}
        self.activations: dict[str, jax.Array] = {}

    def __call__(self, name: str, activation: jax.Array) -> jax.Array:
        """Returns `activation`, perturbed and recorded where that was requested."""
        if name in self.perturbations:
            activation = activation + self.perturbations[name].astype(activation.dtype)
        if name in self.names:
            self.activations[name] = activation
        return activation


def normalise(images: jax.Array, mean: tuple[float, ...], std: tuple[float, ...]) -> jax.Array:
    """Returns `(images - mean) / std`, per channel; `[..., C]`."""
    shape = (1,) * (images.ndim - 1) + (-1,)
    return (images - jnp.asarray(mean, images.dtype).reshape(shape)) / jnp.asarray(std, images.dtype).reshape(shape)


def to_unit_range(images: jax.Array) -> jax.Array:
    """Returns uint8 images as float32 in [0, 1], and float images as float32."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / jnp.float32(255)
    return images.astype(jnp.float32)


def cast(params: Parameters, dtype: Dtype | None) -> Parameters:
    """Returns a pytree as device arrays, floating-point ones in `dtype`, without compiling anything."""

    def leaf(array: Any) -> Any:
        if dtype is None or not jnp.issubdtype(array.dtype, jnp.floating) or array.dtype == dtype:
            return array
        return np.asarray(array).astype(jnp.dtype(dtype))

    return jax.device_put(jax.tree.map(leaf, params))


@dataclasses.dataclass(frozen=True)
class Forward:
    """Base of the forward passes: normalises images and casts them to the network's type.

    Attributes:
        mean: per channel, of [0, 1] pixels.
        std: per channel, of [0, 1] pixels.
        dtype: of the network.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: Dtype

    def __call__(
        self,
        params: Parameters,
        images: jax.Array,
        taps: tuple[str, ...] = (),
        perturbations: Mapping[str, jax.Array] | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Apply`."""
        recorder = Taps(taps, perturbations)
        images = normalise(images, self.mean, self.std).astype(jnp.dtype(self.dtype))
        logits = self.logits(params, images, recorder)
        unknown = {*taps, *recorder.perturbations} - {*self.tap_names(params)}
        if unknown:
            raise ValueError(
                f"{', '.join(sorted(unknown))}: no tap of this classifier, whose taps are "
                f"{', '.join(self.tap_names(params)) or 'none'}."
            )
        return logits.astype(jnp.float32), recorder.activations

    def logits(self, params: Parameters, images: jax.Array, taps: Taps) -> jax.Array:
        """Maps normalised images `[N, H, W, C]` to logits `[N, K]`."""
        raise NotImplementedError

    def tap_names(self, params: Parameters) -> tuple[str, ...]:
        """Returns the names of the activations that can be requested."""
        return ()


@dataclasses.dataclass(frozen=True)
class NNXApply(Forward):
    """The forward pass of an NNX module; equal for equal graphs, so that two loads of a network share one program."""

    graph: nnx.GraphDef
    names: tuple[str, ...]

    def logits(self, params: Parameters, images: jax.Array, taps: Taps) -> jax.Array:
        """See `Forward`."""
        module: Any = nnx.merge(self.graph, params)
        return module(images, taps) if self.names else module(images)

    def tap_names(self, params: Parameters) -> tuple[str, ...]:
        """See `Forward`."""
        return self.names


@dataclasses.dataclass(frozen=True)
class FunctionApply(Forward):
    """The forward pass of a plain function; it has no taps."""

    function: Callable[[Parameters, jax.Array], jax.Array]

    def logits(self, params: Parameters, images: jax.Array, taps: Taps) -> jax.Array:
        """See `Forward`."""
        return self.function(params, images)


@dataclasses.dataclass(frozen=True)
class BlackBoxApply(Forward):
    """A function on the host, which cannot be part of a compiled program.

    Attributes:
        function: `function(images)`, with normalised images `[N, H, W, C]` as a float32 NumPy array, returns `[N, K]`.
        outputs: whether it returns logits or probabilities.
    """

    function: Callable[[np.ndarray], Any]
    outputs: Literal["logits", "probabilities"]

    def logits(self, params: Parameters, images: jax.Array, taps: Taps) -> jax.Array:
        """See `Forward`; a black box is never compiled."""
        raise ValueError(
            "this classifier is a black box, which only a search on the host can call; use xaijax.explain with ELIME."
        )

    def call_on_host(self, images: np.ndarray, activation: str) -> np.ndarray:
        """Maps images `[N, H, W, C]` float32 in [0, 1] to logits `[N, K]` float32."""
        pixels = (images - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        outputs = np.asarray(self.function(pixels.astype(np.float32)))
        if outputs.ndim != 2 or len(outputs) != len(images):
            raise ValueError(
                f"the black box returned shape {outputs.shape} for {len(images)} images but must return "
                f"[{len(images)}, classes]."
            )
        if self.outputs == "logits":
            return outputs.astype(np.float32)
        finite = outputs[np.isfinite(outputs)]
        if finite.size and (finite.min() < -1e-3 or finite.max() > 1 + 1e-3):
            raise ValueError(
                f"the black box returned numbers from {finite.min():g} to {finite.max():g}, which are no "
                "probabilities; return numbers in [0, 1], or set outputs='logits'."
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(np.clip(outputs.astype(np.float64), 1e-30, 1))
            other = np.log(np.clip(1 - outputs.astype(np.float64), 1e-30, 1)) if activation == "sigmoid" else 0.0
        return (log - other).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class LinenApply(Forward):
    """The forward pass of a Linen module; it has no taps."""

    module: Any
    arguments: tuple[tuple[str, Any], ...]

    def logits(self, params: Parameters, images: jax.Array, taps: Taps) -> jax.Array:
        """See `Forward`."""
        return self.module.apply(params, images, **dict(self.arguments))


@dataclasses.dataclass(frozen=True)
class CallableApply(Forward):
    """The forward pass of a callable pytree, such as an Equinox module; it has no taps.

    Attributes:
        structure: of the pytree.
        constants: its leaves that are not arrays, with None where an array belongs.
        per_image: whether it is called with one image rather than a batch.
        channels_first: whether it takes `[C, H, W]`.
    """

    structure: Any
    constants: tuple[Any, ...]
    per_image: bool
    channels_first: bool

    def logits(self, params: Parameters, images: jax.Array, taps: Taps) -> jax.Array:
        """See `Forward`."""
        arrays = iter(params)
        leaves = [next(arrays) if constant is None else constant[0] for constant in self.constants]
        module = jax.tree.unflatten(self.structure, leaves)
        if self.channels_first:
            images = images.transpose(0, 3, 1, 2)
        return jax.vmap(module)(images) if self.per_image else module(images)
