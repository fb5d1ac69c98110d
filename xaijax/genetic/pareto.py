"""Multi-objective ranking: dominance, fronts, crowding and hypervolume.

Objectives are `[N, M]` float32, higher is better in each; -inf marks an individual that was not evaluated.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.sequential import is_parallel


def dominates(objectives: jax.Array) -> jax.Array:
    """Returns `[N, N]` bool: whether i is nowhere worse than j, and somewhere better."""
    chex.assert_rank(objectives, 2)
    nowhere_worse, better = jnp.bool_(True), jnp.bool_(False)
    for value in objectives.T:  # one by one, so that XLA fuses this with what reduces it and never holds all pairs
        nowhere_worse &= value[:, None] >= value[None]
        better |= value[:, None] > value[None]
    return nowhere_worse & better


def front_ranks(objectives: jax.Array) -> jax.Array:
    """Sorts individuals into fronts: 0 for those that none dominates, 1 for those that only these dominate, ...

    Args:
        objectives: `[N, M]`.

    Returns:
        `[N]` int32.

    References:
        Deb, Pratap, Agarwal and Meyarivan, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II (2002).
    """
    above = dominates(objectives)
    if is_parallel():
        return _longest_chains(above)

    # An individual's rank is the length of the longest chain of individuals, each dominating the next, that ends in it.
    def deepen(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        ranks, _ = carry
        deeper = jnp.max(jnp.where(above, ranks[:, None] + 1, 0), axis=0)
        return deeper, jnp.any(deeper != ranks)

    start = (jnp.zeros((len(objectives),), jnp.int32), jnp.bool_(True))
    return jax.lax.while_loop(lambda carry: carry[1], deepen, start)[0]


def _longest_chains(above: jax.Array) -> jax.Array:
    """Returns the length of the longest chain that ends in each individual, `[N]` int32, in log2(N) rounds.

    A round joins the longest chains between any two individuals at a third one, so that their length doubles. It takes
    N^3 steps where a loop takes N^2 for each front, but no loop's end waits for the image of most fronts.

    Args:
        above: `[N, N]` bool, whether i dominates j.
    """
    alone = np.where(np.eye(len(above), dtype=bool), 0, -len(above)).astype(np.int32)
    longest = jnp.where(above, 1, alone)  # from i to j; below 0 if there is none
    for _ in range(max(len(above) - 1, 1).bit_length()):
        longest = jnp.max(longest[:, :, None] + longest[None], axis=1)
    return jnp.max(longest, axis=0)


def crowding_distance(objectives: jax.Array, ranks: jax.Array) -> jax.Array:
    """Returns how far apart the neighbours of each individual in its front are, summed over the objectives.

    Args:
        objectives: `[N, M]`.
        ranks: `[N]` int32, see `front_ranks`.

    Returns:
        `[N]` float32, each objective in units of its range in the front; infinite at the ends of a front.

    References:
        Deb, Pratap, Agarwal and Meyarivan, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II (2002).
    """
    same = (ranks[:, None] == ranks[None])[..., None]
    index = np.arange(len(objectives))
    own, other = objectives[:, None], objectives[None]
    later = (index[None] > index[:, None])[..., None]
    is_above = same & ((other > own) | ((other == own) & later))
    is_below = same & ((other < own) | ((other == own) & np.swapaxes(later, 0, 1)))
    above = jnp.min(jnp.where(is_above, other, jnp.inf), axis=1)
    below = jnp.max(jnp.where(is_below, other, -jnp.inf), axis=1)
    highest = jnp.max(jnp.where(same, other, -jnp.inf), axis=1)
    lowest = jnp.min(jnp.where(same, other, jnp.inf), axis=1)
    gap = (above - below) / jnp.maximum(highest - lowest, 1e-12)
    return jnp.sum(jnp.where(jnp.isnan(gap), jnp.inf, gap), axis=1)


def crowded_preference(objectives: jax.Array) -> jax.Array:
    """Returns NSGA-II's order as one number per individual: lower fronts first, within a front the less crowded.

    Args:
        objectives: `[N, M]`.

    Returns:
        `[N]` float32, higher is better; -inf where any objective is.
    """
    ranks = front_ranks(objectives)
    distance = crowding_distance(objectives, ranks)
    within = jnp.where(jnp.isinf(distance), 1.0, distance / (1 + distance))  # in [0, 1]
    preference = 0.5 * within - ranks.astype(jnp.float32)
    return jnp.where(jnp.all(objectives > -jnp.inf, axis=1), preference, -jnp.inf)


def front_hypervolume(objectives: jax.Array, reference: tuple[float, float]) -> jax.Array:
    """Returns the area that individuals of two objectives dominate above a reference point.

    Args:
        objectives: `[N, 2]`; individuals below the reference add nothing.
        reference: the reference point.

    Returns:
        `[]` float32, at least 0.

    References:
        Zitzler and Thiele, Multiobjective Optimization Using Evolutionary Algorithms (1998).
    """
    chex.assert_shape(objectives, (None, 2))
    first = jnp.maximum(objectives[:, 0] - reference[0], 0)
    second = jnp.maximum(objectives[:, 1] - reference[1], 0)
    falling, second = jax.lax.sort((-first, second), num_keys=1)
    first = -falling
    widths = first - jnp.concatenate([first[1:], jnp.zeros((1,), first.dtype)])
    return jnp.sum(widths * jax.lax.cummax(second))
