"""Occlusion: slides a window over the image, and scores its pixels by the probability that is lost."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.methods.attribution.base import FixedArea
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import keep_pixels
from xaijax.methods.pixel_based import PixelBased
from xaijax.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Occlusion(PixelBased, FixedArea):
    """Fills a square window at evenly spaced positions; a pixel's score is the mean loss of the windows that cover it.

    There are equally many positions in each direction, as many as the evaluations allow. It also has the options of
    `PixelBased` and `FixedArea`.

    Attributes:
        window: side of the window, as a share of the image's shorter side; above 0 and below 1.

    References:
        Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2013), arXiv 1311.2901.
    """

    window: float = option(0.2, above=0, below=1)

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        height, width = batch.images.shape[1:3]
        side = max(1, round(self.window * min(height, width)))
        corners = window_corners(height, width, side, most=self.evaluations - 2)
        decode = functools.partial(uncovered, side=side, height=height, width=width)
        return Plan(
            scenario=self.scenario(classifier, batch),
            genomes=jnp.broadcast_to(jnp.asarray(corners)[None], (len(batch.active), *corners.shape)),
            decode=lambda _, corner: decode(corner),
            fit=functools.partial(self._fit, decode),
            active=batch.active,
        )

    def _fit(self, decode: Any, _: Any, samples: Samples) -> Attribution:
        loss = jnp.where(samples.weight > 0, samples.whole.probability - samples.responses.probability, 0)

        def add(sums: tuple[jax.Array, jax.Array], row: Any) -> tuple[tuple[jax.Array, jax.Array], None]:
            corner, loss, weight = row
            covered = (~decode(corner)).astype(jnp.float32) * weight
            return (sums[0] + loss * covered, sums[1] + covered), None

        shape = jax.eval_shape(decode, samples.genomes[0]).shape
        nothing = jnp.zeros(shape, jnp.float32)
        (losses, windows), _ = jax.lax.scan(add, (nothing, nothing), (samples.genomes, loss, samples.weight))
        return keep_pixels(losses / jnp.maximum(windows, 1), self.area)


def window_corners(height: int, width: int, side: int, *, most: int) -> np.ndarray:
    """Returns the upper left corners `[N, 2]` int32 of at most `most` windows, evenly spaced from border to border."""
    each = math.isqrt(most)
    rows, columns = (
        np.unique(np.round(np.linspace(0, size - side, min(each, size - side + 1))).astype(np.int32))
        for size in (height, width)
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def uncovered(corner: jax.Array, *, side: int, height: int, width: int) -> jax.Array:
    """Returns `[H, W]` bool, False in the window of `side` pixels whose upper left corner is `corner`, `[2]` int32."""
    inside = [
        (jnp.arange(size, dtype=jnp.int32) >= start) & (jnp.arange(size, dtype=jnp.int32) < start + side)
        for size, start in ((height, corner[0]), (width, corner[1]))
    ]
    return ~(inside[0][:, None] & inside[1][None])
