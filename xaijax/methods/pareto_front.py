"""The front of an archive - the masks that no other beats in both probability and area - and how one mask is picked."""

import jax
import jax.numpy as jnp

from xaijax.explanation import Front
from xaijax.fitness import Response, penalised_probability
from xaijax.genetic.pareto import dominates

FRONT = 64
"""The maximum number of masks in a front, unless the method sets a lower one."""


def make_front(genomes: jax.Array, responses: Response, allowed: jax.Array, *, size: int) -> Front:
    """Finds the front of the masks of one image.

    Args:
        genomes: `[E, W]` uint32.
        responses: `[E]`.
        allowed: `[E]` bool, the masks to consider.
        size: F, the maximum number of masks to return; a larger front is thinned evenly, keeping its smallest and its
            largest mask.

    Returns:
        `Front` of one image, by increasing area (and so by increasing probability).
    """
    objectives = jnp.where(allowed[:, None], jnp.stack([responses.probability, -responses.area], axis=1), -jnp.inf)
    # Of equal masks only the first is on the front.
    same = (objectives[:, None, 0] == objectives[None, :, 0]) & (objectives[:, None, 1] == objectives[None, :, 1])
    index = jnp.arange(len(allowed), dtype=jnp.int32)
    is_beaten = jnp.any(dominates(objectives) | (same & (index[:, None] < index[None])), axis=0)
    on_front = allowed & ~is_beaten
    count = jnp.sum(on_front, dtype=jnp.int32)
    order = jnp.argsort(jnp.where(on_front, responses.area, jnp.inf), stable=True)
    slot = jnp.arange(size, dtype=jnp.float32)
    spread = jnp.round(slot * (jnp.maximum(count - 1, 0).astype(jnp.float32) / max(size - 1, 1))).astype(jnp.int32)
    chosen = order[jnp.where(count <= size, jnp.minimum(slot.astype(jnp.int32), len(order) - 1), spread)]
    present = on_front[chosen] & (slot.astype(jnp.int32) < count)
    return Front(
        probability=jnp.where(present, responses.probability[chosen], jnp.nan),
        area=jnp.where(present, responses.area[chosen], jnp.nan),
        genome=jnp.where(present[:, None], genomes[chosen], jnp.uint32(0)),
    )


def pick_smallest(responses: Response, allowed: jax.Array, least: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Picks the smallest mask whose probability reaches a threshold, or the most probable mask if none does.

    Log-odds are compared: far below, all probabilities are 0.

    Args:
        responses: `[E]`.
        allowed: `[E]` bool, the masks to consider.
        least: `[]` float32, the log-odds of the threshold.

    Returns:
        Index `[]` int32, and whether any mask reached the threshold, `[]` bool. Of masks of equal area the most
        probable one is picked.
    """
    enough = allowed & (responses.log_odds >= least)
    smallest = jnp.min(jnp.where(enough, responses.area, jnp.inf))
    candidates = jnp.where(jnp.any(enough), enough & (responses.area == smallest), allowed)
    best = jnp.argmax(jnp.where(candidates, responses.log_odds, -jnp.inf))
    return best.astype(jnp.int32), jnp.any(enough)


def pick_fittest(responses: Response, *, area_weight: float) -> jax.Array:
    """Picks the mask of highest probability minus `area_weight` times area.

    Args:
        responses: `[N]`, the first one to the whole image. The whole image is never picked, nor is another mask of all
            pixels or of none.
        area_weight: see `xaijax.fitness.penalised_probability`.

    Returns:
        Index `[]` int32.
    """
    fitness = penalised_probability(responses, area_weight=area_weight)
    is_mask = jnp.isfinite(fitness) & (responses.area > 0) & (responses.area < 1)
    return jnp.argmax(jnp.where(is_mask, fitness, -jnp.inf).at[0].set(-jnp.inf)).astype(jnp.int32)
