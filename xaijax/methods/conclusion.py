"""The result of an attribution: the explanation of one image, from what was evaluated and which mask was picked."""

import functools

import jax
import jax.numpy as jnp

from xaijax.explanation import Explanation, Status
from xaijax.fitness import Response
from xaijax.genetic.genome import pack


def conclude(
    answers: Response,
    place: jax.Array,
    mask: jax.Array,
    score: jax.Array,
    segment_score: jax.Array | None,
    *,
    target: jax.Array,
    image_index: jax.Array,
    active: jax.Array,
    evaluations: int,
) -> Explanation:
    """Makes the explanation of one image; it failed where the whole image, the mask or a score is not finite.

    Args:
        answers: `[N]`, of the whole image first, then of masks.
        place: `[]` int32, which of them is of the mask picked.
        mask: `[H, W]` bool, the mask picked.
        score: `[H, W]` float32.
        segment_score: `[S]` float32, or None.
        target: `[]` int32, the class explained.
        image_index: `[]` int32.
        active: `[]` bool, False where there was nothing to explain.
        evaluations: what it cost.
    """
    finite = jnp.isfinite(answers.log_odds)
    works = active & finite[0] & finite[place] & jnp.all(jnp.isfinite(score))
    whole, picked = (jax.tree.map(lambda leaf, at=at: leaf[at], answers) for at in (0, place))
    mask = mask & works
    probability = jnp.where(works, picked.probability, jnp.nan)
    area = jnp.where(works, picked.area, jnp.nan)
    holds = {
        Status.SPENT: active,
        Status.ONE_SEGMENT: ~active,
        Status.NOT_FINITE: active & ~works,
        Status.SOME_NOT_FINITE: works & ~jnp.all(finite),
    }
    return Explanation(
        mask=mask,
        score=jnp.where(works, score, 0),
        image_index=image_index,
        target=target,
        original_probability=jnp.where(works, whole.probability, jnp.nan),
        probability=probability,
        area=area,
        cp_score=probability / area,
        genome=pack(mask.reshape(-1)),
        segments=None,
        segment_score=None if segment_score is None else jnp.where(works, segment_score, 0),
        front=None,
        evaluations=jnp.where(active, jnp.int32(evaluations), 0),
        generations=jnp.int32(0),
        status=functools.reduce(jnp.bitwise_or, [jnp.where(holds[code], int(code), 0) for code in holds]),
        history=jnp.full((1,), jnp.nan, jnp.float32),
    )
