"""Repeated searches of the same rows under several seeds, joined into one explanation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.explanation import Explanation, Stability
from xaijax.masks.overlap import overlap_above_chance


def join_repeats(result: Explanation, repeats: int) -> Explanation:
    """Joins the rows of many seeds.

    Args:
        result: of `B R` rows, the R seeds of the first row first.
        repeats: R, at least 2.

    Returns:
        The B rows of the first seed, with their `Stability` and the evaluations of all seeds.

    References:
        arXiv 2211.15143, whose analysis takes 30 runs per image.
    """
    by_seed = jax.tree.map(lambda leaf: leaf.reshape(-1, repeats, *leaf.shape[1:]), result)
    first = jax.tree.map(lambda leaf: leaf[:, 0], by_seed)
    masks = np.asarray(by_seed.mask)
    overlap = overlap_above_chance(masks.swapaxes(0, 1)).astype(np.float32)
    overlap[np.isnan(by_seed.probability).any(axis=1)] = np.nan
    stability = Stability(
        overlap=jnp.asarray(overlap),
        frequency=jnp.asarray(masks.mean(axis=1, dtype=np.float32)),
        probability=by_seed.probability,
        area=by_seed.area,
        genome=by_seed.genome,
    )
    return dataclasses.replace(first, stability=stability, evaluations=by_seed.evaluations.sum(axis=1))
