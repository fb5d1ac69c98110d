"""Fills: the pixels that replace an image where its mask is 0, before normalisation."""

import re
from typing import Literal, get_args

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.masks.superpixels import segment_means
from xaijax.sequential import map_rows

NamedFill = Literal["black", "dataset-mean", "image-mean", "segment-mean", "blur"]
Fill = NamedFill | str
"""A name, or a colour as `#rrggbb`; for methods that search under several fills, these joined by `+`."""

BLUR_SIGMA = 10 / 224  # of the image's longer side


def split_fill(fill: Fill) -> tuple[str, ...]:
    """Returns the fills that are joined by `+`."""
    return tuple(fill.split("+"))


def check_fills(fill: Fill, *, several: bool) -> None:
    """Raises ValueError unless `fill` is one fill or, where there may be `several`, different ones; see `Fill`."""
    fills = split_fill(fill)
    for each in fills:
        check_fill(each)
    if len(fills) > 1 and not several:
        raise ValueError(f"fill {fill!r} are {len(fills)} fills but this method takes one; choose one of them.")
    if len(set(fills)) < len(fills):
        raise ValueError(f"fill {fill!r} has the same fill twice; name each once.")


def check_fill(fill: str) -> None:
    """Raises ValueError if `fill` is neither a name nor a colour."""
    if fill not in get_args(NamedFill) and not re.fullmatch(r"#[0-9a-fA-F]{6}", fill):
        names = ", ".join(get_args(NamedFill))
        raise ValueError(f"fill {fill!r} is unknown; choose one of {names}, or a colour such as '#808080'.")


def make_fill(
    fill: Fill, pixels: jax.Array, segments: jax.Array, *, max_segments: int, mean: tuple[float, ...]
) -> jax.Array:
    """Returns the fill of one image.

    Args:
        fill: see `Fill`.
        pixels: `[H, W, C]` float32 in [0, 1].
        segments: `[H, W]` int32 in [0, max_segments), for the segment mean.
        max_segments: exclusive upper bound of the labels.
        mean: of the classifier's data, per channel, in [0, 1].

    Returns:
        `[H, W, C]` float32 in [0, 1], or `[1, 1, C]` where the fill is one colour.
    """
    chex.assert_rank([pixels, segments], [3, 2])
    chex.assert_equal_shape_prefix([pixels, segments], 2)
    channels = pixels.shape[2]
    if fill == "black":
        return jnp.zeros((1, 1, channels), jnp.float32)
    if fill == "dataset-mean":
        return jnp.broadcast_to(jnp.asarray(mean, jnp.float32), (1, 1, channels))
    if fill == "image-mean":
        return jnp.mean(pixels, axis=(0, 1), keepdims=True)
    if fill == "segment-mean":
        return segment_means(pixels, segments, max_segments=max_segments)[segments]
    if fill == "blur":
        return gaussian_blur(pixels, BLUR_SIGMA * max(pixels.shape[:2]))
    colour = [int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    if channels not in (1, 3):
        raise ValueError(f"the colour {fill} needs an image of 1 or 3 channels, not {channels}; use another fill.")
    values = colour if channels == 3 else [float(np.dot(colour, (0.299, 0.587, 0.114)))]
    return jnp.asarray(values, jnp.float32).reshape(1, 1, channels)


def make_plain_fills(fill: Fill, pixels: jax.Array, *, mean: tuple[float, ...]) -> jax.Array:
    """Returns the fills of a batch without segments, image by image; "segment-mean" becomes the mean of the image.

    Args:
        fill: see `Fill`.
        pixels: `[B, H, W, C]` float32 in [0, 1].
        mean: see `make_fill`.

    Returns:
        `[B, H, W, C]` float32 in [0, 1], or `[B, 1, 1, C]` where each fill is one colour.
    """
    chex.assert_rank(pixels, 4)
    one_segment = jnp.zeros(pixels.shape[1:3], jnp.int32)
    return map_rows(lambda image: make_fill(fill, image, one_segment, max_segments=1, mean=mean), pixels)


def gaussian_blur(pixels: jax.Array, sigma: float, radius: int | None = None) -> jax.Array:
    """Blurs with a Gaussian, mirrored at the border, as two matrix products.

    Args:
        pixels: `[H, W, C]` float32.
        sigma: in pixels, above 0.
        radius: pixels at which the Gaussian is cut off, at least 1; None cuts it at 4 sigma.

    Returns:
        `[H, W, C]` float32.
    """
    rows = jnp.asarray(_blur_matrix(pixels.shape[0], sigma, radius))
    columns = jnp.asarray(_blur_matrix(pixels.shape[1], sigma, radius))
    precision = jax.lax.Precision.HIGHEST
    return jnp.einsum("ij,jkc,lk->ilc", rows, pixels, columns, precision=precision)


def _blur_matrix(size: int, sigma: float, radius: int | None) -> np.ndarray:
    """Returns `[size, size]`: row i holds the weights of pixel i's neighbours, mirrored at the border."""
    radius = max(1, int(4 * sigma + 0.5)) if radius is None else radius
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    position = (np.arange(size)[:, None] + offsets[None]) % (2 * size)
    mirrored = np.where(position < size, position, 2 * size - 1 - position)
    matrix = np.zeros((size, size), np.float64)
    np.add.at(matrix, (np.arange(size)[:, None], mirrored), np.broadcast_to(weights, mirrored.shape))
    return matrix.astype(np.float32)
