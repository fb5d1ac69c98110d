"""Extremal perturbations: a smooth mask of a given area, found by gradient ascent on the class's log-odds."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xaijax.batch import Batch
from xaijax.classifier import Classifier, to_unit_range
from xaijax.fitness import respond
from xaijax.methods.attribution.base import FixedArea
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.attribution.top_area import keep_pixels
from xaijax.methods.pixel_based import PixelBased
from xaijax.micro_batches import Scenario, blend
from xaijax.options import option

_TEMPERATURE = 0.05  # of the smooth maximum
_PIXELS = 4  # per cell in each direction, to measure the area: the mask is too smooth for more to matter
_RAMP = 3.0  # the penalty starts at a third of its weight and ends at three times it


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtremalPerturbation(PixelBased, FixedArea):
    """Maximises the class's log-odds over a smooth mask by Adam; a penalty draws the mask to 0 and 1, and to `area`.

    The score map is the smooth mask. A step is a forward pass and a backward pass of about twice its cost, so that it
    counts as 3 evaluations and there are `(evaluations - 2) // 3` steps; the remainder is not spent. It also has the
    options of `PixelBased` and `FixedArea`.

    Unlike in the paper, the optimiser is Adam and the objective is log-odds, which do not saturate.

    Attributes:
        learning_rate: learning rate of Adam, in units of the mask, which is in [0, 1]; above 0.
        cells: cells in each direction of the coarse grid that the mask is painted from, at least 2.
        penalty: weight of the area penalty relative to log-odds, above 0; it grows ninefold over the steps, and this is
            its geometric mean.

    References:
        Fong, Patrick and Vedaldi, Understanding Deep Networks via Extremal Perturbations and Smooth Masks (2019),
        arXiv 1910.08485.
    """

    evaluations: int = 300
    learning_rate: float = option(0.05, above=0)
    cells: int = option(12, at_least=2)
    penalty: float = option(100.0, above=0)

    @property
    def steps(self) -> int:
        """Number of gradient steps that the evaluations allow besides the whole image and the last mask."""
        return (self.evaluations - 2) // 3

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """See `Planned.plan`."""
        scenario = self.scenario(classifier, batch)
        return Plan.of_gradient(
            dataclasses.replace(scenario, contexts=batch.image_index),
            functools.partial(self._fit, classifier, scenario),
            active=batch.active,
            gradients=self.steps,
        )

    def _fit(self, classifier: Classifier, scenario: Scenario, index: jax.Array, samples: Samples) -> Attribution:
        image, fill = scenario.images[index], scenario.fills[index]
        height, width = image.shape[:2]
        optimiser = optax.adam(self.learning_rate)

        def loss(grid: jax.Array, weight: jax.Array) -> jax.Array:
            mask = paint_smooth(grid, height=height, width=width)
            masked = blend(mask[..., None], to_unit_range(image), fill)
            logits, _ = classifier.apply(classifier.params, masked[None])
            response = respond(
                classifier, logits, jax.tree.map(lambda leaf: leaf[None], samples.targets), jnp.mean(mask)[None]
            )
            fine = paint_smooth(grid, height=_PIXELS * self.cells, width=_PIXELS * self.cells)
            return weight * area_penalty(fine, self.area) - response.log_odds[0]

        def step(number: jax.Array, carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
            grid, state = carry
            progress = number.astype(jnp.float32) / max(self.steps - 1, 1)  # from 0 to 1
            gradient = jax.grad(loss)(grid, self.penalty * _RAMP ** (2 * progress - 1))
            with jax.numpy_dtype_promotion("standard"):  # Adam divides by an integer's power
                update, state = optimiser.update(gradient, state)
            return jnp.clip(grid + update, 0, 1), state

        start = jnp.ones((self.cells, self.cells), jnp.float32)  # the whole image
        grid, _ = jax.lax.fori_loop(0, self.steps, step, (start, optimiser.init(start)))
        return keep_pixels(paint_smooth(grid, height=height, width=width), self.area)


def area_penalty(mask: jax.Array, area: float) -> jax.Array:
    """Returns the mean squared difference between the mask's sorted values and a step: ones for `area`, then zeros.

    Once the highest value in the range of the zeros is known, no value needs a rank: those above it are compared with
    1, and all others, those equal to it included, with 0.

    Args:
        mask: `[H, W]` float32 in [0, 1].
        area: share of the pixels, above 0 and below 1.
    """
    kept = min(max(round(area * mask.size), 1), mask.size - 1)
    below = jnp.sort(jax.lax.stop_gradient(mask).reshape(-1))[mask.size - kept - 1]
    return jnp.mean((mask - (mask > below).astype(jnp.float32)) ** 2)


def paint_smooth(grid: jax.Array, *, height: int, width: int) -> jax.Array:
    """Paints a smooth mask: each pixel is the smooth maximum, over the cells, of a cell's value times its closeness.

    Closeness is 1 within a cell and falls off as a Gaussian of half a cell outside, in each direction, so that a mask
    can reach 0 and 1 and is no finer than the grid. The maximum is taken along rows and then along columns.

    Args:
        grid: `[cells, cells]` float32 in [0, 1].
        height: of the mask, pixels.
        width: of the mask, pixels.

    Returns:
        `[H, W]` float32 in [0, 1].
    """
    across = _smooth_maximum(grid[:, None, :] * _closeness(width, grid.shape[1])[None])  # [cells, W]
    return _smooth_maximum(across.T[None] * _closeness(height, grid.shape[0])[:, None])


def _smooth_maximum(values: jax.Array) -> jax.Array:
    return jnp.sum(values * jax.nn.softmax(values / _TEMPERATURE, axis=-1), axis=-1)


def _closeness(size: int, cells: int) -> jax.Array:
    """Returns `[size, cells]` float32: how close each pixel is to each cell, in one direction."""
    position = (np.arange(size) + 0.5) * cells / size
    outside = np.maximum(np.abs(position[:, None] - np.arange(cells)[None] - 0.5) - 0.5, 0)  # in cells
    return jnp.asarray(np.exp(-0.5 * (outside / 0.5) ** 2), jnp.float32)
