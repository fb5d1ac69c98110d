"""PyTorch's core operators in JAX, by their names in ATen.

Images stay `[N, H, W, C]` from one convolution to the next; what asks for PyTorch's own order of axes gets a transposed
copy. Each operator takes its arguments as ATen's schema has them, and `dtype`, in which floats are computed.

References:
    PyTorch's documentation of its core ATen operators, for what each of them computes.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from xaijax.convolution import convolve, max_pool


@functools.partial(jax.tree_util.register_dataclass, data_fields=["array"], meta_fields=["is_last"])
@dataclasses.dataclass(frozen=True)
class Tensor:
    """An array, and in which order its axes are.

    Attributes:
        array: of any shape.
        is_last: whether it is `[N, C, H, W]` for PyTorch, and stored as `[N, H, W, C]`.
    """

    array: jax.Array
    is_last: bool = False

    @property
    def plain(self) -> jax.Array:
        """The array in PyTorch's order of axes."""
        return self.array.transpose(0, 3, 1, 2) if self.is_last else self.array

    @property
    def images(self) -> jax.Array:
        """The array `[N, H, W, C]` of a tensor `[N, C, H, W]`."""
        return self.array if self.is_last else self.array.transpose(0, 2, 3, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape for PyTorch."""
        size = self.array.shape
        return (size[0], size[3], size[1], size[2]) if self.is_last else size


@contextlib.contextmanager
def promoting() -> Iterator[None]:
    """Lets arrays of other types and of fewer axes meet, as in PyTorch, whatever JAX is configured to refuse."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


Operator = Callable[..., Any]

OPERATORS: dict[str, Operator] = {}
"""By the name in ATen, without the overload where all of them do the same."""

DTYPES = {
    "float32": None,
    "float64": None,
    "float16": None,
    "bfloat16": None,
    "int64": jnp.int32,
    "int32": jnp.int32,
    "int16": jnp.int16,
    "int8": jnp.int8,
    "uint8": jnp.uint8,
    "bool": jnp.bool_,
}
"""The type of PyTorch's types of numbers; None for floats, which are computed in the network's own."""


def _operator(*names: str) -> Callable[[Operator], Operator]:
    def add(function: Operator) -> Operator:
        for name in names:
            OPERATORS[name] = function
        return function

    return add


def _typed(name: str | None, dtype: Any, default: Any = None) -> Any:
    """Returns the type for one of PyTorch's."""
    if name is None:
        return dtype if default is None else default
    found = DTYPES[name]
    return dtype if found is None else found


# Element by element


def _together(values: Sequence[Any]) -> tuple[list[Any], bool]:
    """Returns arrays and numbers in one order of axes, and whether that is with the channels last."""
    is_last = any(isinstance(value, Tensor) and value.is_last for value in values)

    def array(value: Any) -> Any:
        if not isinstance(value, Tensor) or not is_last:
            return value.plain if isinstance(value, Tensor) else value
        if value.array.ndim > 4:
            raise ValueError("an image and an array of more axes")
        padded = (
            value.array
            if value.array.ndim == 4
            else value.array.reshape((1,) * (4 - value.array.ndim) + value.array.shape)
        )
        return padded if value.is_last else padded.transpose(0, 2, 3, 1)

    return [array(value) for value in values], is_last


def _elementwise(function: Callable[..., jax.Array], *values: Any) -> Tensor:
    arrays, is_last = _together(values)
    return Tensor(jnp.asarray(function(*arrays)), is_last)


def _add_elementwise(name: str, function: Callable[..., jax.Array]) -> None:
    def operator(*values: Any, dtype: Any, **keywords: Any) -> Tensor:
        return _elementwise(functools.partial(function, **keywords), *values)

    OPERATORS[name] = operator


def _gelu(x: jax.Array, approximate: str = "none") -> jax.Array:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def _clamp(x: jax.Array, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None) -> jax.Array:
    return jnp.clip(x, low if min is None else min, high if max is None else max)


def _elu(x: jax.Array, alpha: float = 1.0, scale: float = 1.0, slope: float = 1.0) -> jax.Array:
    return scale * jnp.where(x > 0, x, alpha * jnp.expm1(slope * jnp.minimum(x, 0)))


def _as_float(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    return lambda x: function(x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32))


ELEMENTWISE: dict[str, Callable[..., jax.Array]] = {
    "abs": jnp.abs,
    "bitwise_and": lambda x, y: x & y,
    "bitwise_not": lambda x: ~x,
    "bitwise_or": lambda x, y: x | y,
    "ceil": jnp.ceil,
    "clamp": _clamp,
    "clamp_max": lambda x, high: jnp.minimum(x, high),
    "clamp_min": lambda x, low: jnp.maximum(x, low),
    "cos": jnp.cos,
    "elu": lambda x, alpha=1.0, scale=1.0, slope=1.0: (
        scale * jnp.where(x > 0, x, alpha * jnp.expm1(slope * jnp.minimum(x, 0)))
    ),
    "eq": lambda x, y: x == y,
    "erf": lax.erf,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "floor": jnp.floor,
    "fmod": jnp.fmod,
    "ge": lambda x, y: x >= y,
    "gelu": _gelu,
    "gt": lambda x, y: x > y,
    "hardtanh": lambda x, low=-1.0, high=1.0: jnp.clip(x, low, high),
    "isinf": jnp.isinf,
    "isnan": jnp.isnan,
    "le": lambda x, y: x <= y,
    "leaky_relu": lambda x, slope=0.01: jnp.where(x > 0, x, slope * x),
    "log": jnp.log,
    "log1p": jnp.log1p,
    "logical_and": jnp.logical_and,
    "logical_not": jnp.logical_not,
    "logical_or": jnp.logical_or,
    "lt": lambda x, y: x < y,
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
    "mul": lambda x, y: x * y,
    "ne": lambda x, y: x != y,
    "neg": lambda x: -x,
    "pow": lambda x, y: x**y,
    "reciprocal": lambda x: 1 / x,
    "relu": jax.nn.relu,
    "remainder": jnp.remainder,
    "round": jnp.round,
    "rsqrt": lax.rsqrt,
    "sigmoid": _as_float(jax.nn.sigmoid),
    "sign": jnp.sign,
    "sin": jnp.sin,
    "sqrt": _as_float(jnp.sqrt),
    "tanh": _as_float(jnp.tanh),
    "where": jnp.where,
}
for _name, _function in ELEMENTWISE.items():
    _add_elementwise(_name, _function)


@_operator("add")
def _add(x: Any, y: Any, *, dtype: Any, alpha: float = 1, sign: int = 1) -> Tensor:
    return _elementwise(lambda x, y: x + sign * alpha * y if sign * alpha != 1 else x + y, x, y)


OPERATORS["sub"] = functools.partial(_add, sign=-1)


@_operator("div")
def _divide(x: Any, y: Any, *, dtype: Any, rounding_mode: str | None = None) -> Tensor:
    def divide(x: Any, y: Any) -> jax.Array:
        if rounding_mode == "floor":
            return jnp.floor_divide(x, y)
        quotient = jnp.true_divide(x, y)
        return jnp.trunc(quotient).astype(jnp.result_type(x)) if rounding_mode == "trunc" else quotient

    return _elementwise(divide, x, y)


@_operator("_to_copy")
def _to_copy(x: Tensor, *, dtype: Any, to: str | None = None, **_: Any) -> Tensor:
    if to is None:
        return x
    return Tensor(x.array.astype(_typed(to, dtype)), x.is_last)


@_operator("clone", "alias", "detach", "lift_fresh_copy", "_assert_tensor_metadata")
def _same(x: Tensor, *_: Any, dtype: Any, **__: Any) -> Tensor:
    return x


# Images


def _pair(values: Any, default: Any = None) -> tuple[int, int]:
    values = tuple(values) or default
    first, second = values if len(values) == 2 else (values[0], values[0])
    return first, second


@_operator("convolution")
def _convolution(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *,
    dtype: Any,
) -> Tensor:
    """Convolves; the kernel of images is `[h, w, in / groups, out]`, as the export has laid it out."""
    if transposed:
        raise ValueError("a transposed convolution")
    if len(stride) == 2:
        pads = tuple((each, each) for each in _pair(padding))
        (stride_y, stride_x), dilations = _pair(stride), _pair(dilation)
        if stride_y == stride_x and dilations == (1, 1):
            found = convolve(x.images, kernel.array, stride=stride_y, groups=groups, padding=(pads[0], pads[1]))
        else:
            found = lax.conv_general_dilated(
                x.images,
                kernel.array,
                (stride_y, stride_x),
                pads,
                rhs_dilation=dilations,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=groups,
            )
        return Tensor(found if bias is None else found + bias.array[None, None, None], is_last=True)
    if len(stride) != 1:
        raise ValueError(f"a convolution over {len(stride)} axes")
    found = lax.conv_general_dilated(
        x.plain,
        kernel.array,
        tuple(stride),
        [(each, each) for each in padding],
        rhs_dilation=tuple(dilation),
        dimension_numbers=("NCH", "OIH", "NCH"),
        feature_group_count=groups,
    )
    return Tensor(found if bias is None else found + bias.array[None, :, None])


@_operator("scale_and_shift")
def _scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor, *, dtype: Any) -> Tensor:
    """A batch norm in evaluation, over axis 1, whose four arrays the export has made two of."""
    if len(x.shape) == 4:
        return Tensor(x.images * scale.array[None, None, None] + shift.array[None, None, None], is_last=True)
    axes = (1, -1) + (1,) * (len(x.shape) - 2)
    return Tensor(x.plain * scale.array.reshape(axes) + shift.array.reshape(axes))


@_operator("native_layer_norm")
def _layer_norm(x: Tensor, shape: Any, weight: Any, bias: Any, epsilon: float, *, dtype: Any) -> tuple[Tensor, ...]:
    array = x.plain.astype(jnp.float32)
    axes = tuple(range(array.ndim - len(shape), array.ndim))
    mean = jnp.mean(array, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(array - mean), axis=axes, keepdims=True)
    found = (array - mean) * lax.rsqrt(variance + epsilon)
    found = found if weight is None else found * weight.array.astype(jnp.float32)
    found = found if bias is None else found + bias.array.astype(jnp.float32)
    return (Tensor(found.astype(x.array.dtype)),)


@_operator("native_group_norm")
def _group_norm(
    x: Tensor, weight: Any, bias: Any, count: int, channels: int, size: int, groups: int, epsilon: float, *, dtype: Any
) -> tuple[Tensor, ...]:
    array = x.plain.astype(jnp.float32)
    grouped = array.reshape(array.shape[0], groups, -1)
    mean = jnp.mean(grouped, axis=2, keepdims=True)
    variance = jnp.mean(jnp.square(grouped - mean), axis=2, keepdims=True)
    found = ((grouped - mean) * lax.rsqrt(variance + epsilon)).reshape(array.shape)
    axes = (1, -1) + (1,) * (array.ndim - 2)
    found = found if weight is None else found * weight.array.astype(jnp.float32).reshape(axes)
    found = found if bias is None else found + bias.array.astype(jnp.float32).reshape(axes)
    return (Tensor(found.astype(x.array.dtype)),)


@dataclasses.dataclass(frozen=True)
class _Windows:
    """The windows of a pooling, in height and in width."""

    sizes: tuple[int, int]
    strides: tuple[int, int]
    paddings: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]  # pixels before and after


def _windows(x: Tensor, kernel: Any, stride: Any, padding: Any, ceil: bool) -> _Windows:
    sizes, strides, paddings = _pair(kernel), _pair(stride, kernel), _pair(padding)
    above, aside = (_window(x.shape[2 + i], sizes[i], strides[i], paddings[i], ceil) for i in (0, 1))
    return _Windows(sizes, strides, paddings, (above, aside))


def _window(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> tuple[int, int]:
    """Returns the pixels to pad before and after an axis for windows as PyTorch places them."""
    if not ceil:
        return padding, padding
    count = -(-(size + 2 * padding - kernel) // stride) + 1
    if (count - 1) * stride >= size + padding:
        count -= 1
    return padding, max(padding, (count - 1) * stride + kernel - size - padding)


@_operator("max_pool2d_with_indices")
def _max_pool(
    x: Tensor,
    kernel: Any,
    stride: Any = (),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    ceil: bool = False,
    *,
    dtype: Any,
) -> tuple[Tensor, ...]:
    if _pair(dilation) != (1, 1):
        raise ValueError("a dilated pooling")
    over = _windows(x, kernel, stride, padding, ceil)
    if over.sizes[0] == over.sizes[1] and over.strides[0] == over.strides[1]:
        return (Tensor(max_pool(x.images, over.sizes[0], over.strides[0], over.pads), is_last=True),)
    windows, pads = ((1, *over.sizes, 1), (1, *over.strides, 1)), ((0, 0), *over.pads, (0, 0))
    return (Tensor(lax.reduce_window(x.images, -jnp.inf, lax.max, *windows, pads), is_last=True),)


@_operator("avg_pool2d")
def _mean_pool(
    x: Tensor,
    kernel: Any,
    stride: Any = (),
    padding: Any = (0, 0),
    ceil: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
    *,
    dtype: Any,
) -> Tensor:
    over = _windows(x, kernel, stride, padding, ceil)
    images, pads = x.images.astype(jnp.float32), over.pads
    windows = ((1, *over.sizes, 1), (1, *over.strides, 1))
    total = lax.reduce_window(images, 0.0, lax.add, *windows, ((0, 0), *pads, (0, 0)))
    if divisor is not None:
        return Tensor((total / divisor).astype(x.array.dtype), is_last=True)
    # Of the pixels in a window count the image's, and those of the padding where asked, but none beyond it.
    ones = np.ones((1, *images.shape[1:3], 1), np.float32)
    beyond: Any = pads
    if count_padding:
        ones = np.pad(ones, ((0, 0), *((each, each) for each in over.paddings), (0, 0)), constant_values=1)
        beyond = tuple((before - each, after - each) for (before, after), each in zip(pads, over.paddings, strict=True))
    count = lax.reduce_window(jnp.asarray(ones), 0.0, lax.add, *windows, ((0, 0), *beyond, (0, 0)))
    return Tensor((total / count).astype(x.array.dtype), is_last=True)


@_operator("_adaptive_avg_pool2d")
def _adaptive_mean_pool(x: Tensor, sizes: Any, *, dtype: Any) -> Tensor:
    found = x.images
    for axis, count in zip((1, 2), _pair(sizes), strict=True):
        length = found.shape[axis]
        ends = [(math.floor(i * length / count), math.ceil((i + 1) * length / count)) for i in range(count)]
        means = [jnp.mean(lax.slice_in_dim(found, start, end, axis=axis), axis=axis) for start, end in ends]
        found = jnp.stack(means, axis=axis)
    return Tensor(found, is_last=True)


@_operator("upsample_nearest2d", "_upsample_nearest_exact2d")
def _nearest(x: Tensor, size: Any = None, *rest: Any, dtype: Any) -> Tensor:
    images = x.images
    scales = next((each for each in rest if isinstance(each, tuple)), None)
    sizes = _pair(size) if size is not None else tuple(math.floor(images.shape[i + 1] * scales[i]) for i in (0, 1))  # type: ignore[index]
    for axis, count in zip((1, 2), sizes, strict=True):
        index = np.floor(np.arange(count) * (images.shape[axis] / count)).astype(np.int32)
        images = jnp.take(images, index, axis=axis)
    return Tensor(images, is_last=True)


@_operator("upsample_bilinear2d")
def _bilinear(x: Tensor, size: Any, corners: bool, *rest: Any, dtype: Any) -> Tensor:
    images = x.images.astype(jnp.float32)
    scales = next((each for each in rest if isinstance(each, tuple)), None)
    for axis in (1, 2):
        length = images.shape[axis]
        count = size[axis - 1] if size is not None else math.floor(length * scales[axis - 1])  # type: ignore[index]
        step = 1 / scales[axis - 1] if scales is not None else length / count
        place = (
            np.arange(count) * ((length - 1) / max(count - 1, 1)) if corners else (np.arange(count) + 0.5) * step - 0.5
        )
        place = np.clip(place, 0, length - 1)
        weights = np.maximum(1 - np.abs(place[:, None] - np.arange(length)[None]), 0).astype(np.float32)
        images = jnp.moveaxis(jnp.tensordot(weights, images, (1, axis), precision=lax.Precision.HIGHEST), 0, axis)
    return Tensor(images.astype(x.array.dtype), is_last=True)


@_operator("constant_pad_nd")
def _pad(x: Tensor, padding: Any, value: float = 0, *, dtype: Any) -> Tensor:
    array = x.plain
    pairs = [(padding[i], padding[i + 1]) for i in range(0, len(padding), 2)][::-1]
    widths = [(0, 0)] * (array.ndim - len(pairs)) + pairs
    fill = jnp.asarray(value, array.dtype)
    found = lax.pad(array, fill, [(before, after, 0) for before, after in widths])
    return Tensor(found.transpose(0, 2, 3, 1), is_last=True) if x.is_last else Tensor(found)


# Products


@_operator("mm", "bmm")
def _matmul(x: Tensor, y: Tensor, *, dtype: Any) -> Tensor:
    return Tensor(jnp.matmul(x.plain, y.plain))


@_operator("addmm", "baddbmm")
def _addmm(bias: Tensor, x: Tensor, y: Tensor, *, dtype: Any, beta: float = 1, alpha: float = 1) -> Tensor:
    found = jnp.matmul(x.plain, y.plain)
    found = found if alpha == 1 else alpha * found
    return Tensor(found + (bias.plain if beta == 1 else beta * bias.plain))


# Sums


def _axes(x: Tensor, axes: Any) -> tuple[int, ...] | None:
    if axes is None or axes == ():
        return None
    return (axes,) if isinstance(axes, int) else tuple(axes)


def _reduce(function: Callable[..., jax.Array], x: Tensor, axes: Any = None, keep: bool = False) -> Tensor:
    """Reduces axes; over the height and width of images without transposing them."""
    wanted = _axes(x, axes)
    if x.is_last and wanted is not None and {axis % 4 for axis in wanted} == {2, 3}:
        found = function(x.array, axis=(1, 2), keepdims=keep)
        return Tensor(found, is_last=keep)
    if x.is_last and keep and wanted is not None and {axis % 4 for axis in wanted} == {1}:
        return Tensor(function(x.array, axis=3, keepdims=True), is_last=True)
    return Tensor(function(x.plain, axis=wanted, keepdims=keep))


@_operator("mean")
def _mean(x: Tensor, axes: Any = None, keep: bool = False, *, dtype: Any, to: str | None = None) -> Tensor:
    return _reduce(jnp.mean, x, axes, keep)


@_operator("sum")
def _sum(x: Tensor, axes: Any = None, keep: bool = False, *, dtype: Any, to: str | None = None) -> Tensor:
    return _reduce(jnp.sum, x, axes, keep)


def _add_reduction(name: str, function: Callable[..., jax.Array]) -> None:
    def operator(x: Tensor, axes: Any = None, keep: bool = False, *, dtype: Any, **_: Any) -> Tensor:
        return _reduce(function, x, axes, keep)

    OPERATORS[name] = operator


REDUCTIONS: dict[str, Callable[..., jax.Array]] = {
    "all": jnp.all,
    "amax": jnp.max,
    "amin": jnp.min,
    "any": jnp.any,
    "prod": jnp.prod,
}
for _name, _function in REDUCTIONS.items():
    _add_reduction(_name, _function)


@_operator("_native_batch_norm_legit")
def _batch_norm_of_batch(
    x: Tensor, weight: Any, bias: Any, training: bool, momentum: float, epsilon: float, *, dtype: Any
) -> tuple[Tensor, ...]:
    """A batch norm by the figures of what it normalises, as networks use it to standardise kernels."""
    array = x.plain
    others = tuple(axis for axis in range(array.ndim) if axis != 1)
    mean, variance = (figure(array, others, keepdims=True) for figure in (jnp.mean, jnp.var))
    found = (array - mean) * lax.rsqrt(variance + epsilon)
    axes = (1, -1) + (1,) * (array.ndim - 2)
    found = found if weight is None else found * weight.plain.reshape(axes)
    return (Tensor(found if bias is None else found + bias.plain.reshape(axes)),)


@_operator("var")
def _variance(x: Tensor, axes: Any = None, *, dtype: Any, correction: int = 1, keepdim: bool = False) -> Tensor:
    return _reduce(functools.partial(jnp.var, ddof=correction), x, axes, keepdim)


@_operator("linalg_vector_norm")
def _norm(x: Tensor, order: float = 2, axes: Any = None, keep: bool = False, *, dtype: Any, **_: Any) -> Tensor:
    def norm(array: jax.Array, **options: Any) -> jax.Array:
        if order == math.inf:
            return jnp.max(jnp.abs(array), **options)
        return jnp.sum(jnp.abs(array) ** order, **options) ** (1 / order)

    return _reduce(norm, x, axes, keep)


@_operator("_softmax")
def _softmax(x: Tensor, axis: int, half: bool = False, *, dtype: Any, log: bool = False) -> Tensor:
    array = x.plain.astype(jnp.float32)
    found = jax.nn.log_softmax(array, axis=axis) if log else jax.nn.softmax(array, axis=axis)
    return Tensor(found.astype(x.array.dtype))


OPERATORS["_log_softmax"] = functools.partial(_softmax, log=True)


@_operator("cumsum")
def _cumsum(x: Tensor, axis: int, *, dtype: Any, to: str | None = None) -> Tensor:
    return Tensor(jnp.cumsum(x.plain.astype(_typed(to, dtype, x.array.dtype)), axis=axis))


@_operator("argmax")
def _argmax(x: Tensor, axis: int | None = None, keep: bool = False, *, dtype: Any) -> Tensor:
    return Tensor(jnp.argmax(x.plain, axis=axis, keepdims=keep).astype(jnp.int32))


# Shapes


@_operator("view", "_unsafe_view", "reshape")
def _view(x: Tensor, shape: Any, *, dtype: Any) -> Tensor:
    shape = tuple(shape)
    if x.is_last and shape == x.shape:
        return x
    if x.is_last and x.shape[2:] == (1, 1) and len(shape) == 2:  # of one pixel, any order is the same
        return Tensor(x.array.reshape(shape))
    return Tensor(x.plain.reshape(shape))


@_operator("permute")
def _permute(x: Tensor, axes: Any, *, dtype: Any) -> Tensor:
    order = tuple(axis % len(x.shape) for axis in axes)
    if x.is_last and order == (0, 2, 3, 1):
        return Tensor(x.array)
    if order == (0, 3, 1, 2) and not x.is_last:
        return Tensor(x.array, is_last=True)
    return Tensor(x.plain.transpose(order))


@_operator("transpose")
def _transpose(x: Tensor, first: int, second: int, *, dtype: Any) -> Tensor:
    return Tensor(jnp.swapaxes(x.plain, first, second))


@_operator("t")
def _turned(x: Tensor, *, dtype: Any) -> Tensor:
    return Tensor(x.plain.T)


@_operator("unsqueeze")
def _unsqueeze(x: Tensor, axis: int, *, dtype: Any) -> Tensor:
    return Tensor(jnp.expand_dims(x.plain, axis if axis >= 0 else axis + len(x.shape) + 1))


@_operator("squeeze")
def _squeeze(x: Tensor, axes: Any = None, *, dtype: Any) -> Tensor:
    wanted = range(len(x.shape)) if axes is None else (axes if isinstance(axes, tuple) else (axes,))
    ones = tuple(axis for axis in wanted if x.shape[axis] == 1)
    return Tensor(jnp.squeeze(x.plain, ones))


@_operator("expand")
def _expand(x: Tensor, shape: Any, *, dtype: Any, **_: Any) -> Tensor:
    array = x.plain
    own = (1,) * (len(shape) - array.ndim) + array.shape
    return Tensor(jnp.broadcast_to(array, tuple(a if b == -1 else b for a, b in zip(own, shape, strict=True))))


@_operator("repeat")
def _repeat(x: Tensor, counts: Any, *, dtype: Any) -> Tensor:
    return Tensor(jnp.tile(x.plain, tuple(counts)))


@_operator("cat")
def _cat(values: Any, axis: int = 0, *, dtype: Any) -> Tensor:
    if all(value.is_last for value in values):
        return Tensor(jnp.concatenate([value.array for value in values], axis=(0, 3, 1, 2)[axis % 4]), is_last=True)
    return Tensor(jnp.concatenate([value.plain for value in values], axis=axis))


@_operator("stack")
def _stack(values: Any, axis: int = 0, *, dtype: Any) -> Tensor:
    return Tensor(jnp.stack([value.plain for value in values], axis=axis))


def _sliced(x: Tensor, axis: int, start: int, end: int, step: int = 1) -> Tensor:
    axis %= len(x.shape)
    if x.is_last:
        return Tensor(lax.slice_in_dim(x.array, start, end, step, axis=(0, 3, 1, 2)[axis]), is_last=True)
    return Tensor(lax.slice_in_dim(x.array, start, end, step, axis=axis))


@_operator("slice")
def _slice(
    x: Tensor, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1, *, dtype: Any
) -> Tensor:
    start, end, step = slice(start, end, step).indices(x.shape[axis])
    return _sliced(x, axis, start, max(start, end), step)


@_operator("select")
def _select(x: Tensor, axis: int, index: int, *, dtype: Any) -> Tensor:
    return Tensor(lax.index_in_dim(x.plain, index % x.shape[axis], axis, keepdims=False))


@_operator("split_with_sizes")
def _split_with_sizes(x: Tensor, sizes: Any, axis: int = 0, *, dtype: Any) -> tuple[Tensor, ...]:
    ends = np.cumsum(sizes)
    return tuple(_sliced(x, axis, int(end) - size, int(end)) for size, end in zip(sizes, ends, strict=True))


@_operator("split")
def _split(x: Tensor, size: int, axis: int = 0, *, dtype: Any) -> tuple[Tensor, ...]:
    length = x.shape[axis]
    return tuple(_sliced(x, axis, start, min(start + size, length)) for start in range(0, length, size))


@_operator("unbind")
def _unbind(x: Tensor, axis: int = 0, *, dtype: Any) -> tuple[Tensor, ...]:
    return tuple(_select(x, axis, index, dtype=dtype) for index in range(x.shape[axis]))


@_operator("getitem")
def _getitem(values: Any, index: int, *, dtype: Any) -> Any:
    return values[index]


@_operator("flip")
def _flip(x: Tensor, axes: Any, *, dtype: Any) -> Tensor:
    return Tensor(jnp.flip(x.plain, tuple(axes)))


@_operator("roll")
def _roll(x: Tensor, shifts: Any, axes: Any = (), *, dtype: Any) -> Tensor:
    return Tensor(jnp.roll(x.plain, tuple(shifts), tuple(axes) or None))


@_operator("as_strided")
def _as_strided(x: Tensor, shape: Any, strides: Any, offset: int | None = None, *, dtype: Any) -> Tensor:
    index = np.full((1,) * len(shape), offset or 0)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        steps = np.arange(size) * stride
        index = index + steps.reshape((-1,) + (1,) * (len(shape) - 1 - axis))
    return Tensor(jnp.take(x.plain.reshape(-1), index.astype(np.int32)))


@_operator("index", "_unsafe_index")
def _index(x: Tensor, indices: Any, *, dtype: Any) -> Tensor:
    places = tuple(slice(None) if index is None else index.plain for index in indices)
    return Tensor(x.plain[places])


@_operator("index_select")
def _index_select(x: Tensor, axis: int, index: Tensor, *, dtype: Any) -> Tensor:
    return Tensor(jnp.take(x.plain, index.plain, axis=axis))


@_operator("gather")
def _gather(x: Tensor, axis: int, index: Tensor, *, dtype: Any, **_: Any) -> Tensor:
    return Tensor(jnp.take_along_axis(x.plain, index.plain, axis=axis))


@_operator("embedding")
def _embedding(table: Tensor, index: Tensor, *_: Any, dtype: Any) -> Tensor:
    return Tensor(jnp.take(table.plain, index.plain, axis=0))


# New arrays


@_operator("full")
def _full(shape: Any, value: Any, *, dtype: Any, to: str | None = None, **_: Any) -> Tensor:
    default = jnp.bool_ if isinstance(value, bool) else jnp.int32 if isinstance(value, int) else dtype
    return Tensor(jnp.full(tuple(shape), value, _typed(to, dtype, default)))


@_operator("zeros", "empty")
def _zeros(shape: Any, *, dtype: Any, to: str | None = None, **_: Any) -> Tensor:
    return Tensor(jnp.zeros(tuple(shape), _typed(to, dtype)))


@_operator("ones")
def _ones(shape: Any, *, dtype: Any, to: str | None = None, **_: Any) -> Tensor:
    return Tensor(jnp.ones(tuple(shape), _typed(to, dtype)))


@_operator("full_like", "zeros_like")
def _full_like(x: Tensor, value: Any = 0, *, dtype: Any, to: str | None = None, **_: Any) -> Tensor:
    return Tensor(jnp.full_like(x.array, value, dtype=_typed(to, dtype, x.array.dtype)), x.is_last)


OPERATORS["ones_like"] = functools.partial(_full_like, value=1)


@_operator("scalar_tensor")
def _scalar(value: Any, *, dtype: Any, to: str | None = None, **_: Any) -> Tensor:
    return _full((), value, dtype=dtype, to=to)


@_operator("arange")
def _arange(*ends: Any, dtype: Any, to: str | None = None, **_: Any) -> Tensor:
    default = jnp.int32 if all(isinstance(end, int) for end in ends) else dtype
    return Tensor(jnp.asarray(np.arange(*ends), _typed(to, dtype, default)))
