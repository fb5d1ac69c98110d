"""SLIC superpixels."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from xaijax.masks.segmentation.colour import rgb_to_lab
from xaijax.masks.segmentation.components import connected_components, merge_small, number_in_order
from xaijax.options import Options, option


@dataclasses.dataclass(frozen=True)
class SLIC(Options):
    """Clusters pixels by colour and position, starting from a regular grid.

    The result follows scikit-image's `slic` with its default `enforce_connectivity`, except that components above three
    times the mean size are not split.

    Attributes:
        segments: approximate number of segments, at least 1.
        compactness: weight of position against colour, above 0; the higher, the squarer the segments.
        iterations: of k-means, at least 1.

    References:
        Achanta et al., SLIC Superpixels Compared to State-of-the-art Superpixel Methods (2012).
    """

    segments: int = option(64, at_least=1)
    compactness: float = option(10.0, above=0)
    iterations: int = option(10, at_least=1)

    def label_bound(self, height: int, width: int) -> int:
        """Returns an exclusive upper bound of the labels."""
        return height * width // self._smallest(height, width) + 1

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        step = math.sqrt(height * width / self.segments)
        return max(1, min(height, round(height / step))), max(1, min(width, round(width / step)))

    def _smallest(self, height: int, width: int) -> int:
        rows, columns = self._grid(height, width)
        return max(1, int(0.5 * height * width / (rows * columns)))

    def __call__(self, image: jax.Array) -> jax.Array:
        """Labels one image `[H, W, C]` float32 in [0, 1]; returns `[H, W]` int32."""
        height, width, channels = image.shape
        rows, columns = self._grid(height, width)
        step = max(height / rows, width / columns)

        low, high = jnp.min(image), jnp.max(image)
        stretched = (image - low) / jnp.where(high > low, high - low, 1)
        colours = rgb_to_lab(stretched) if channels == 3 else 100 * stretched
        y, x = jnp.meshgrid(jnp.arange(height, dtype=jnp.float32), jnp.arange(width, dtype=jnp.float32), indexing="ij")
        positions = jnp.stack([y, x], axis=-1)
        # Squared distances in this space weigh colour by 1 / compactness and position by 1 / step.
        points = jnp.concatenate([positions / step, colours / self.compactness], axis=-1)

        row = ((jnp.arange(rows, dtype=jnp.float32) + 0.5) * height / rows).astype(jnp.int32)
        column = ((jnp.arange(columns, dtype=jnp.float32) + 0.5) * width / columns).astype(jnp.int32)
        # As in scikit-image, the initial centres share one colour, so that the first round clusters by position alone.
        centres = points[row[:, None], column[None, :]].reshape(rows * columns, -1).at[:, 2:].set(0.0)
        flat = points.reshape(height * width, -1)

        def iterate(_: int, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            return _cluster(flat, *carry)

        start = jnp.zeros((height * width,), jnp.int32)
        _, labels = jax.lax.fori_loop(0, self.iterations, iterate, (centres, start))
        components = connected_components(labels.reshape(height, width))
        return number_in_order(merge_small(components, smallest=self._smallest(height, width)))


def _cluster(points: jax.Array, centres: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Runs one round of k-means in which a centre attracts only pixels within two steps.

    Args:
        points: `[N, D]`, the first two dimensions positions in steps.
        centres: `[K, D]`.
        labels: `[N]` int32, kept where no centre is within reach.

    Returns:
        The new centres (that of an empty cluster is kept) and labels.
    """
    precision = jax.lax.Precision.HIGHEST
    cross = jnp.matmul(centres, points.T, precision=precision)
    distance = jnp.sum(centres**2, axis=1)[:, None] - 2 * cross  # the points' own squares do not change the order
    away = jnp.maximum(
        jnp.abs(centres[:, 0][:, None] - points[:, 0][None]), jnp.abs(centres[:, 1][:, None] - points[:, 1][None])
    )
    distance = jnp.where(away <= 2, distance, jnp.inf)
    labels = jnp.where(jnp.any(away <= 2, axis=0), jnp.argmin(distance, axis=0).astype(jnp.int32), labels)
    sums = jnp.zeros_like(centres).at[labels].add(points)
    counts = jnp.zeros((centres.shape[0], 1), jnp.float32).at[labels].add(1.0)
    return jnp.where(counts > 0, sums / jnp.maximum(counts, 1), centres), labels
