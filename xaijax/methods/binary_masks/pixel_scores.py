"""Pixel scores from masks of any shape: responses to masks that keep a pixel against those to masks that do not."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from xaijax.methods.binary_masks.constraints import BothSides
from xaijax.sequential import cut_groups

CHUNK = 32
"""Masks painted at once."""


def pixel_evidence(
    decode: Callable[[jax.Array], jax.Array],
    genomes: jax.Array,
    values: BothSides,
    known: jax.Array,
    group: jax.Array,
    *,
    groups: int,
) -> jax.Array:
    """Returns how much higher the log-odds are where a pixel is kept than where it is not, like compared with like.

    The masks of a group are compared with each other, and so are their inverses; a mask whose inverse was evaluated is
    also compared with that inverse. The result is the mean over all comparisons, each weighted by n1 n0 / (n1 + n0),
    where n1 of its masks keep the pixel and n0 do not. Without groups, the score of a pixel that only the masks of a
    late group leave out would also reflect that these masks lose the class less often.

    Args:
        decode: turns a genome into a mask `[H, W]` bool of the image.
        genomes: `[E, W]` uint32, the evaluated masks.
        values: `[E]`, the measurements of masks and inverses, each with a field `response`.
        known: `[E]` bool, which masks count; one whose response is not finite never does.
        group: `[E]` int32 in [0, groups), the group of each mask.
        groups: number of groups.

    Returns:
        `[H, W]` float32, in log-odds; 0 where all masks or none keep the pixel.

    References:
        Mantel and Haenszel, Statistical Aspects of the Analysis of Data from Retrospective Studies of Disease (1959),
        for the weights; Petsiuk, Das and Saenko, RISE: Randomized Input Sampling for Explanation (2018),
        arXiv 1806.07421, for the mean over the masks that keep a pixel.
    """
    mask, inverse, is_inverted = values.mask.response, values.inverse.response, values.is_inverted
    counts = known & jnp.isfinite(mask.log_odds)
    also = known & is_inverted & jnp.isfinite(inverse.log_odds)
    is_pair = counts & also
    kept, left = jnp.where(counts, mask.log_odds, 0), jnp.where(also, inverse.log_odds, 0)
    in_group = jax.nn.one_hot(group, groups, dtype=jnp.float32)
    columns = [in_group * value.astype(jnp.float32)[:, None] for value in (counts, kept, also, left)]
    weights = jnp.concatenate([*columns, jnp.where(is_pair, kept - left, 0)[:, None]], axis=1)  # [E, 4 groups + 1]
    chunks = cut_groups((genomes, weights), CHUNK)

    def add(total: jax.Array, chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        some, weight = chunk
        masks = jax.vmap(decode)(some).astype(jnp.float32)
        return total + jnp.einsum("ek,ehw->khw", weight, masks, precision=jax.lax.Precision.HIGHEST), None

    shape = jax.eval_shape(decode, genomes[0]).shape
    covering, _ = jax.lax.scan(add, jnp.zeros((weights.shape[1], *shape), jnp.float32), chunks)
    others = jnp.sum(weights, axis=0)[:, None, None] - covering
    (n1, s1, i0, t0), (n0, s0, i1, t1) = (
        sums[:-1].reshape(4, groups, *shape) for sums in (covering, others)
    )  # an inverse keeps what its mask does not cover
    pairs = jnp.sum(is_pair).astype(jnp.float32)
    apart = (covering[-1] - others[-1]) / 2
    weight = pairs / 2
    for ones, sum_of_ones, zeros, sum_of_zeros in ((n1, s1, n0, s0), (i1, t1, i0, t0)):
        total = jnp.maximum(ones + zeros, 1)
        apart += jnp.sum(sum_of_ones * (zeros / total) - sum_of_zeros * (ones / total), axis=0)
        weight += jnp.sum(ones * zeros / total, axis=0)
    return jnp.where(weight > 0, apart / jnp.where(weight > 0, weight, 1), 0)
