"""The score matrix of Evolving Binary Masks: the worth of the fittest masks, added up pixel by pixel."""

import jax
import jax.numpy as jnp

from xaijax.genetic.square_genome import unpack_squares
from xaijax.masks.square_masks import Edge, cover
from xaijax.methods.binary_masks.stages import Stage, square_counts


def score_matrix(
    genomes: jax.Array,
    worth: jax.Array,
    area: jax.Array,
    allowed: jax.Array,
    stages: tuple[Stage, ...],
    *,
    edge: Edge,
) -> jax.Array:
    """Adds up the worth of the fittest mask of each generation, over the pixels of its squares.

    Args:
        genomes: `[G, W]` uint32, the fittest of each generation.
        worth: `[G]` float32, the worth of each mask. Each square of a mask adds the worth, divided by the number of
            pixels of the mask, to its own pixels; 0 adds nothing.
        area: `[G]` float32, of the masks.
        allowed: `[K, H, W]` bool, the pixels on which the squares of each stage count.
        stages: the K stages.
        edge: see `xaijax.masks.square_masks.paint`.

    Returns:
        `[H, W]` float32, from 0 to 1; 0 throughout if all pixels are worth the same.

    References:
        rudra-99/XAI-Evolving-Binary-Masks, the notebook.
    """
    height, width = allowed.shape[1:]
    a_pixel = worth / jnp.maximum(area * (height * width), 1)
    total = jnp.zeros((height, width), jnp.float32)
    for stage, count in enumerate(square_counts(stages).tolist()):
        squares = unpack_squares(genomes[:, 1 : 1 + count].reshape(-1))
        weights = jnp.repeat(jnp.where(genomes[:, 0] == stage, a_pixel, 0), count)
        covered = cover(squares, weights, height=height, width=width, edge=edge)
        total += jnp.where(allowed[stage], covered, 0)
    lowest, highest = jnp.min(total), jnp.max(total)
    return (total - lowest) / jnp.where(highest > lowest, highest - lowest, 1)
