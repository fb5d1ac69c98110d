"""The last step of every method: the explanation of one image, given the mask that was picked."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from xaijax.explanation import Explanation, Front, Status, status_of
from xaijax.fitness import Response, Targets


def conclude(
    works: jax.Array,
    whole: Response,
    picked: Response,
    *,
    mask: jax.Array,
    score: jax.Array,
    genome: jax.Array,
    targets: Targets,
    image_index: jax.Array,
    evaluations: jax.Array,
    holds: Mapping[Status, jax.Array],
    score_std: jax.Array | None = None,
    cp_score: jax.Array | None = None,
    probability_by_fill: jax.Array | None = None,
    segments: jax.Array | None = None,
    segment_score: jax.Array | None = None,
    front: Front | None = None,
    generations: jax.Array | None = None,
    history: jax.Array | None = None,
) -> Explanation:
    """Makes the explanation of one image; fields left None take their defaults.

    Args:
        works: `[]` bool, whether there is an explanation; if not, the mask is empty and the figures are NaN.
        whole: `[]`, the response to the whole image.
        picked: `[]`, the response to the mask, with the area of the mask.
        mask: `[H, W]` bool.
        score: `[H, W]` float32.
        genome: `[W]` uint32.
        targets: `[]`, the class explained, and the one it is contrasted with.
        image_index: `[]` int32.
        evaluations: `[]` int32.
        holds: `[]` bool, which statuses apply; see `status_of`.
        score_std: `[H, W]` float32, or None.
        cp_score: `[]` float32; None divides the probability by the area.
        probability_by_fill: `[F]` float32, see `Explanation`, or None.
        segments: `[H, W]` int32, or None.
        segment_score: `[S]` float32, or None.
        front: of one image, or None.
        generations: `[]` int32; by default 0.
        history: `[G]` float32; by default a single NaN.
    """
    probability = jnp.where(works, picked.probability, jnp.nan)
    area = jnp.where(works, picked.area, jnp.nan)
    return Explanation(
        mask=mask & works,
        score=jnp.where(works, score, 0),
        score_std=None if score_std is None else jnp.where(works, score_std, 0),
        image_index=image_index,
        target=targets.explained,
        against=targets.against,
        original_probability=jnp.where(works, whole.probability, jnp.nan),
        probability=probability,
        probability_by_fill=None if probability_by_fill is None else jnp.where(works, probability_by_fill, jnp.nan),
        area=area,
        cp_score=probability / area if cp_score is None else jnp.where(works, cp_score, jnp.nan),
        genome=jnp.where(works, genome, jnp.uint32(0)),
        segments=segments,
        segment_score=None if segment_score is None else jnp.where(works, segment_score, 0),
        front=front,
        stability=None,
        evaluations=evaluations,
        generations=jnp.int32(0) if generations is None else generations,
        status=status_of(holds),
        history=jnp.full((1,), jnp.nan, jnp.float32) if history is None else history,
    )
