"""Square genomes: the number of their stage in the first word, then one square `(row, column, radius)` per word.

A square is packed as the row and the column of its centre, 11 bits each, and its radius, 10 bits, all in pixels; a
square of radius r is `2 r + 1` pixels wide. Words past the last square are 0. The genome of all ones is the mask that
keeps everything.
"""

import chex
import jax
import jax.numpy as jnp

from xaijax import threefry
from xaijax.genetic.encoding import Encoding

SIDE, RADIUS = 1 << 11, 1 << 10
"""Exclusive upper bounds in pixels: of rows and columns, and of radii."""

WHOLE = 0xFFFFFFFF


@chex.dataclass(frozen=True)
class SquareSpace:
    """The search space of one image: the squares that a genome may hold."""

    stage: jax.Array  # [] int32, from 0
    count: jax.Array  # [] int32, squares per genome
    radii: jax.Array  # [K] int32, in pixels
    kinds: jax.Array  # [] int32, how many of the radii are in use
    boxes: jax.Array  # [N, 4] int32, where a centre may lie: first row, first column, last row, last column
    regions: jax.Array  # [] int32, how many of the boxes are in use


def pack_squares(rows: jax.Array, columns: jax.Array, radii: jax.Array) -> jax.Array:
    """Packs squares of `[...]` int32 rows and columns below `SIDE` and radii below `RADIUS` into `[...]` uint32."""
    rows, columns, radii = (part.astype(jnp.uint32) for part in (rows, columns, radii))
    return (rows * jnp.uint32(SIDE) + columns) * jnp.uint32(RADIUS) + radii


def unpack_squares(words: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns rows, columns and radii `[...]` int32 of squares `[...]` uint32."""
    rest, radii = words // jnp.uint32(RADIUS), words % jnp.uint32(RADIUS)
    rows, columns = rest // jnp.uint32(SIDE), rest % jnp.uint32(SIDE)
    return rows.astype(jnp.int32), columns.astype(jnp.int32), radii.astype(jnp.int32)


def is_whole(genomes: jax.Array) -> jax.Array:
    """Returns which of the genomes `[..., W]` are the mask that keeps everything, `[...]` bool."""
    return genomes[..., 0] == jnp.uint32(WHOLE)


def draw(key: jax.Array, space: SquareSpace, *, count: int, words: int) -> jax.Array:
    """Draws genomes: the radius of each square, a box, and a centre in that box, each uniformly.

    Args:
        key: consumed.
        space: the search space.
        count: genomes to draw.
        words: words per genome, one more than the squares that it has room for.

    Returns:
        `[count, words]` uint32.
    """
    room = words - 1
    radius, box, row, column = threefry.uniform(key, 4 * count * room).reshape(4, count, room)
    radii = space.radii[_to_index(radius, space.kinds)]
    boxes = space.boxes[_to_index(box, space.regions)]
    rows = boxes[..., 0] + _to_index(row, boxes[..., 2] - boxes[..., 0] + 1)
    columns = boxes[..., 1] + _to_index(column, boxes[..., 3] - boxes[..., 1] + 1)
    used = jnp.arange(room, dtype=jnp.int32)[None] < space.count
    squares = jnp.where(used, pack_squares(rows, columns, radii), jnp.uint32(0))
    stage = jnp.broadcast_to(space.stage.astype(jnp.uint32), (count, 1))
    return jnp.concatenate([stage, squares], axis=1)


def redraw(key: jax.Array, genomes: jax.Array, space: SquareSpace, *, squares: int) -> jax.Array:
    """Mutation: redraws some squares of each genome.

    Args:
        key: consumed.
        genomes: `[P, W]` uint32.
        space: the search space.
        squares: how many to redraw per genome, at least 1; the same square may be chosen twice.

    Returns:
        `[P, W]` uint32.
    """
    count, words = genomes.shape
    index_key, draw_key = threefry.split(key)
    fresh = draw(draw_key, space, count=count, words=words)
    chosen = 1 + _to_index(threefry.uniform(index_key, count * squares).reshape(count, squares), space.count)
    place = jnp.arange(words, dtype=jnp.int32)[None]
    is_chosen = jnp.zeros(genomes.shape, jnp.bool_)
    for square in range(squares):  # as one reduction over all of them, JAX 0.12 takes minutes to compile it for a CPU
        is_chosen |= place == chosen[:, square, None]
    return jnp.where(is_chosen, fresh, genomes)


def uniform(key: jax.Array, mothers: jax.Array, fathers: jax.Array, space: SquareSpace) -> jax.Array:
    """Takes each square from either parent with equal chance; parents and children are `[P, W]` uint32."""
    draws = threefry.uniform(key, mothers.size).reshape(mothers.shape)
    return jnp.where(draws < 0.5, mothers, fathers)


def one_point(key: jax.Array, mothers: jax.Array, fathers: jax.Array, space: SquareSpace) -> jax.Array:
    """Takes the squares before a random cut, at least one, from the mother and the rest, at least one, from the father.

    A genome of one square is the mother's.
    """
    cut = 1 + _to_index(threefry.uniform(key, len(mothers)), jnp.maximum(space.count - 1, 1))
    return jnp.where(_prefix(cut, mothers), mothers, fathers)


def two_point(key: jax.Array, mothers: jax.Array, fathers: jax.Array, space: SquareSpace) -> jax.Array:
    """Takes the squares between two random cuts from the father and the rest from the mother."""
    cuts = _to_index(threefry.uniform(key, 2 * len(mothers)).reshape(2, -1), space.count + 1)
    return jnp.where(_prefix(cuts[0], mothers) ^ _prefix(cuts[1], mothers), fathers, mothers)


CROSSOVERS = {"uniform": uniform, "one-point": one_point, "two-point": two_point}


def _whole(space: SquareSpace, words: int) -> jax.Array:
    return jnp.full((words,), WHOLE, jnp.uint32)


def _unchanged(key: jax.Array, genomes: jax.Array, space: SquareSpace) -> jax.Array:
    return genomes


SQUARES = Encoding(draw=draw, repair=_unchanged, whole=_whole)
"""One square per word."""


def _to_index(draws: jax.Array, count: jax.Array) -> jax.Array:
    """Scales uniform draws in [0, 1) to int32 indices in [0, count)."""
    return jnp.floor(draws * jnp.asarray(count, jnp.float32)).astype(jnp.int32)


def _prefix(cut: jax.Array, genomes: jax.Array) -> jax.Array:
    """Returns `[P, W]` bool: the words of the stage and of the first `cut` `[P]` squares."""
    return jnp.arange(genomes.shape[1], dtype=jnp.int32)[None] <= cut[:, None]
