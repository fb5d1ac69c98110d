"""RISE: the mean of random smooth masks, weighted by the classifier's responses."""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.masks.fills import Fill
from xaijax.methods.attribution.base import FixedArea
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import keep_pixels
from xaijax.methods.pixel_based import PixelBased
from xaijax.options import option
from xaijax.sequential import cut_groups

_CHUNK = 32  # masks painted at once while their weighted mean is taken


@chex.dataclass(frozen=True)
class Cells:
    """Genomes of random smooth masks."""

    cells: jax.Array  # [N, cells, cells] float32, 1 where a cell is kept
    shift: jax.Array  # [N, 2] float32, how far the image lies from the grid's corner, in cells, in [0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RISE(PixelBased, FixedArea):
    """Averages random smooth masks, each weighted by the class probability on the image that it masks.

    A mask keeps each cell of a coarse grid at random; the grid is interpolated and shifted. It also has the options of
    `PixelBased` and `FixedArea`.

    Attributes:
        cells: cells of the grid in each direction, at least 2.
        keep: probability that a cell is kept, above 0 and below 1.

    References:
        Petsiuk, Das and Saenko, RISE: Randomized Input Sampling for Explanation of Black-box Models (2018),
        arXiv 1806.07421.
    """

    fill: Fill = "dataset-mean"
    cells: int = option(8, at_least=2)
    keep: float = option(0.5, above=0, below=1)

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        decode: Any = functools.partial(paint, height=batch.images.shape[1], width=batch.images.shape[2])
        draw = functools.partial(draw_cells, count=self.evaluations - 2, cells=self.cells, keep=self.keep)
        return Plan(
            scenario=self.scenario(classifier, batch),
            genomes=jax.vmap(draw)(keys),
            decode=lambda _, genome: decode(genome),
            fit=functools.partial(self._fit, decode),
            active=batch.active,
        )

    def _fit(self, decode: Any, _: Any, samples: Samples) -> Attribution:
        weight = samples.weight * jnp.where(samples.weight > 0, samples.responses.probability, 0)
        total = jnp.maximum(jnp.sum(samples.weight), 1) * self.keep
        chunks = cut_groups((weight, samples.genomes), _CHUNK)

        def add(score: jax.Array, chunk: Any) -> tuple[jax.Array, None]:
            weight, genomes = chunk
            masks = jax.vmap(decode)(genomes)
            return score + jnp.einsum("n,nhw->hw", weight, masks, precision=jax.lax.Precision.HIGHEST), None

        blank = jax.eval_shape(decode, jax.tree.map(lambda leaf: leaf[0], samples.genomes))
        score, _ = jax.lax.scan(add, jnp.zeros(blank.shape, blank.dtype), chunks)
        return keep_pixels(score / total, self.area)


def draw_cells(key: jax.Array, *, count: int, cells: int, keep: float) -> Cells:
    """Draws the genomes of `count` masks; the first ones do not depend on `count`."""
    cell_key, shift_key = threefry.split(key)
    kept = threefry.uniform(cell_key, count * cells * cells).reshape(count, cells, cells) < keep
    shift = threefry.uniform(shift_key, count * 2).reshape(count, 2)
    return Cells(cells=kept.astype(jnp.float32), shift=shift)


def paint(genome: Cells, *, height: int, width: int) -> jax.Array:
    """Paints one mask: its cells, interpolated linearly to one cell more than the image, then shifted and cropped.

    Args:
        genome: of one mask, without the leading axis.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        `[H, W]` float32 in [0, 1].
    """
    rows = _interpolation(genome.shift[0], height, genome.cells.shape[0])
    columns = _interpolation(genome.shift[1], width, genome.cells.shape[1])
    precision = jax.lax.Precision.HIGHEST
    return jnp.matmul(jnp.matmul(rows, genome.cells, precision=precision), columns.T, precision=precision)


def _interpolation(shift: jax.Array, size: int, cells: int) -> jax.Array:
    """Returns `[size, cells]`: the weights of the cells at each pixel of a grid enlarged to `cells + 1` cells' size."""
    side = -(-size // cells)  # pixels per cell
    offset = jnp.floor(shift * side)  # whole pixels
    pixel = jnp.arange(size, dtype=jnp.float32) + offset + 0.5
    position = jnp.clip(pixel * (cells / ((cells + 1) * side)) - 0.5, 0, cells - 1)
    return jnp.maximum(1 - jnp.abs(position[:, None] - jnp.arange(cells, dtype=jnp.float32)[None]), 0)
