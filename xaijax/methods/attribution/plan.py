"""How an attribution method explains a batch: what it samples, what it fits, and which masks follow."""

import dataclasses
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.fitness import Response, Targets
from xaijax.genetic.archive import is_duplicate
from xaijax.masks import superpixels
from xaijax.methods.superpixel_based import Segmented
from xaijax.micro_batches import Decode, Scenario


@chex.dataclass(frozen=True)
class Attribution:
    """The scores of one image, and the masks to evaluate by them."""

    score: jax.Array  # [H, W] float32, signed contribution of each pixel
    segment_score: jax.Array | None  # [S] float32, of each segment, for a method over segments
    ranks: jax.Array  # [H, W] int32, the rank of each pixel; those of lowest rank are kept first
    counts: jax.Array  # [Q] int32, the number of pixels that each mask to evaluate keeps
    score_std: jax.Array | None = None  # [H, W] float32, standard deviation of the score, where the method knows it
    separated: jax.Array | None = None  # [] bool, see `xaijax.methods.surrogate.Contributions.is_separated`


@chex.dataclass(frozen=True)
class Samples:
    """The evaluated samples of one image."""

    genomes: Any  # pytree of [N, ...]
    responses: Response  # [N], of the samples
    weight: jax.Array  # [N] float32, 1 for the samples that count, 0 for the others (a response was not finite)
    whole: Response  # [], of the whole image
    targets: Targets  # [], the class explained


Fit = Callable[[Any, Samples], Attribution]
"""`fit(context, samples)`, for one image."""

Pick = Callable[[Response], jax.Array]
"""`pick(responses[1 + N + Q])` returns the index of the result; the responses are those to the whole image, to the N
samples and to the Q masks that follow from the fit, in this order."""


def last(responses: Response) -> jax.Array:
    """Picks the last mask."""
    return jnp.int32(responses.area.shape[0] - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How a method explains a batch.

    Attributes:
        scenario: of the batch.
        genomes: pytree of `[B, N, ...]`, the samples.
        decode: turns a genome into a mask.
        fit: turns the samples of an image into its scores, and into the masks of the highest ones.
        active: `[B]` bool, False for slots to skip: those without an image, or with a single segment.
        kept: Q, number of masks to evaluate after the fit.
        fit_evaluations: cost of the fit in evaluations if it runs the classifier; images are then fitted in groups.
        pick: chooses the mask that is the result.
        segmented: the segments, for a method over segments.
        repeated: `[B, N]` bool, the samples that repeat an earlier one of their image: they are not evaluated and count
            nothing; None where all are evaluated.
    """

    scenario: Scenario
    genomes: Any
    decode: Decode
    fit: Fit
    active: jax.Array
    kept: int = 1
    fit_evaluations: int = 0
    pick: Pick = last
    segmented: Segmented | None = None
    repeated: jax.Array | None = None

    @classmethod
    def of_segments(
        cls,
        segmented: Segmented,
        keys: jax.Array,
        draw: Callable[[jax.Array, jax.Array], jax.Array],
        fit: Fit,
        *,
        active: jax.Array,
        kept: int = 1,
        pick: Pick = last,
        distinct: bool = False,
    ) -> "Plan":
        """Makes the plan of a method over segments; `draw(key, length)` samples the genomes `[N, W]` of an image.

        Where they are to be `distinct`, those that repeat others are not evaluated.
        """
        genomes = jax.vmap(draw)(keys, segmented.length)
        return cls(
            scenario=segmented.scenario,
            genomes=genomes,
            decode=superpixels.decode,
            fit=fit,
            active=active & (segmented.length > 1),
            kept=kept,
            pick=pick,
            segmented=segmented,
            repeated=jax.vmap(is_duplicate)(genomes) if distinct else None,
        )

    @classmethod
    def of_gradient(cls, scenario: Scenario, fit: Fit, *, active: jax.Array, gradients: int) -> "Plan":
        """Makes the plan of a method without samples, whose fit takes `gradients` gradients of the classifier.

        A gradient counts as 3 evaluations: a forward pass, and a backward pass of about twice its cost.
        """
        batch, (height, width) = len(active), scenario.images.shape[1:3]
        return cls(
            scenario=scenario,
            genomes=jnp.zeros((batch, 0), jnp.bool_),
            decode=lambda context, genome: jnp.broadcast_to(genome, (height, width)),
            fit=fit,
            active=active,
            fit_evaluations=3 * gradients,
        )
