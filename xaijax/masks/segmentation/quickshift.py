"""Quickshift superpixels."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from xaijax.masks.segmentation.colour import rgb_to_lab
from xaijax.masks.segmentation.components import number_in_order
from xaijax.options import Options, option


@dataclasses.dataclass(frozen=True)
class Quickshift(Options):
    """Links each pixel to the nearest pixel of higher density in colour and position; the trees are the segments.

    For an image whose longer side is 224 it equals scikit-image's `quickshift`, except for ties: among pixels of equal
    density the first in raster order ranks higher, where scikit-image adds noise. For other sizes kernel, ratio and
    distance scale with the longer side, so that an enlarged image has the same segments.

    Attributes:
        kernel: standard deviation in pixels of the Gaussian that estimates density, above 0; LIME's is 4.
        ratio: weight of colour (CIE L*a*b*) against position, at least 0.
        max_distance: links longer than this are cut, above 0.

    References:
        Vedaldi and Soatto, Quick Shift and Kernel Methods for Mode Seeking (2008).
    """

    kernel: float = option(4.0, above=0)
    ratio: float = option(0.2, at_least=0)
    max_distance: float = option(200.0, above=0)

    def label_bound(self, height: int, width: int) -> int:
        """Returns an exclusive upper bound of the labels."""
        return height * width

    def __call__(self, image: jax.Array) -> jax.Array:
        """Labels one image `[H, W, C]` float32 in [0, 1]; returns `[H, W]` int32."""
        height, width, channels = image.shape
        scale = max(height, width) / 224
        colours = rgb_to_lab(image) if channels == 3 else 100 * image
        colours = jnp.moveaxis(colours * (self.ratio * scale), 2, 0)  # channels first: the loops below vectorise
        kernel = self.kernel * scale
        radius = math.ceil(3 * kernel)
        density = _density(colours, kernel, radius)
        parent = _parents(colours, density, radius, self.max_distance * scale)
        return number_in_order(_roots(parent).reshape(height, width))


def _density(colours: jax.Array, kernel: float, radius: int) -> jax.Array:
    """Returns `[H, W]`, the density of each pixel: the sum of a Gaussian in colour and position over its window."""
    _, height, width = colours.shape
    # Pixels outside the image are infinitely far.
    padded = jnp.pad(colours, ((0, 0), (radius, radius), (radius, radius)), constant_values=jnp.inf)

    def add_row(row: jax.Array, total: jax.Array) -> jax.Array:
        line = jax.lax.dynamic_slice_in_dim(padded, row + radius, height, axis=1)
        for column in range(-radius, radius + 1):  # unrolled: one pass over the image for all of a row's columns
            distance = _squared(colours, line[:, :, radius + column : radius + column + width]) + column**2
            total = total + jnp.exp((distance + (row * row).astype(jnp.float32)) * (-0.5 / kernel**2))
        return total

    return jax.lax.fori_loop(-radius, radius + 1, add_row, jnp.zeros((height, width), jnp.float32))


def _parents(colours: jax.Array, density: jax.Array, radius: int, max_distance: float) -> jax.Array:
    """Returns `[H W]` int32: the nearest pixel of higher density within `radius`, or the pixel itself."""
    _, height, width = colours.shape
    around = ((radius, radius), (radius, radius))
    padded = jnp.pad(colours, ((0, 0), *around))
    densities = jnp.pad(density, around, constant_values=-jnp.inf)
    own = jnp.arange(height * width, dtype=jnp.int32).reshape(height, width)

    def scan_row(row: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        nearest, parent = carry
        line = jax.lax.dynamic_slice_in_dim(padded, row + radius, height, axis=1)
        line_density = jax.lax.dynamic_slice_in_dim(densities, row + radius, height, axis=0)
        for column in range(-radius, radius + 1):
            columns = slice(radius + column, radius + column + width)
            distance = _squared(colours, line[:, :, columns]) + (row * row + column**2).astype(jnp.float32)
            other = line_density[:, columns]
            is_earlier = (row < 0) | ((row == 0) & (column < 0))
            is_higher = (other > density) | ((other == density) & is_earlier)
            is_nearer = is_higher & (distance < nearest)
            nearest = jnp.where(is_nearer, distance, nearest)
            parent = jnp.where(is_nearer, own + row * width + column, parent)
        return nearest, parent

    start = (jnp.full((height, width), jnp.float32(max_distance) ** 2 * (1 + 1e-6)), own)
    return jax.lax.fori_loop(-radius, radius + 1, scan_row, start)[1].reshape(-1)


def _roots(parent: jax.Array) -> jax.Array:
    """Follows `[N]` int32 parents to the roots of their trees, by doubling the length of every jump."""
    jumps = math.ceil(math.log2(max(2, len(parent))))
    return jax.lax.fori_loop(0, jumps, lambda _, jump: jump[jump], parent)


def _squared(first: jax.Array, second: jax.Array) -> jax.Array:
    return sum((one - other) ** 2 for one, other in zip(first, second, strict=True))
