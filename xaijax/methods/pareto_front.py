"""The front of an archive, the masks that no other beats in both probability and area, and picks among masks."""

import jax
import jax.numpy as jnp

from xaijax.explanation import Front
from xaijax.fitness import Response, penalised_probability
from xaijax.genetic.pareto import dominates

FRONT = 64
"""The most masks of a front, where a method has no other bound."""


def make_front(genomes: jax.Array, responses: Response, allowed: jax.Array, *, size: int) -> Front:
    """Finds the front of the masks of one image.

    Args:
        genomes: `[E, W]` uint32.
        responses: `[E]`.
        allowed: `[E]` bool, the masks to look at.
        size: F, the most masks to return; of more, some evenly spread ones, the smallest and the largest among them.

    Returns:
        `Front` of one image, by rising area (and so by rising probability).
    """
    objectives = jnp.where(allowed[:, None], jnp.stack([responses.probability, -responses.area], axis=1), -jnp.inf)
    # Of equals the first stands for all.
    same = jnp.all(objectives[:, None] == objectives[None], axis=2)
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
    """Picks the smallest mask of at least a probability; where there is none, the one of highest probability.

    Args:
        responses: `[E]`.
        allowed: `[E]` bool, the masks to look at.
        least: `[]` float32, the probability.

    Returns:
        Index `[]` int32 and whether there was one `[]` bool; of equal areas the higher probability.
    """
    probability = jnp.where(allowed, responses.probability, -1.0)
    enough = allowed & (probability >= least)
    smallest = jnp.min(jnp.where(enough, responses.area, jnp.inf))
    candidates = jnp.where(jnp.any(enough), enough & (responses.area == smallest), allowed)
    return jnp.argmax(jnp.where(candidates, probability, -1.0)).astype(jnp.int32), jnp.any(enough)


def pick_fittest(responses: Response, *, area_weight: float) -> jax.Array:
    """Picks the mask of highest probability minus `area_weight` times area.

    Args:
        responses: `[N]`, the first of them to the whole image; it, and a mask of all pixels or none, is never picked.
        area_weight: see `xaijax.fitness.penalised_probability`.

    Returns:
        Index `[]` int32.
    """
    fitness = penalised_probability(responses, area_weight=area_weight)
    is_mask = jnp.isfinite(fitness) & (responses.area > 0) & (responses.area < 1)
    return jnp.argmax(jnp.where(is_mask, fitness, -jnp.inf).at[0].set(-jnp.inf)).astype(jnp.int32)
