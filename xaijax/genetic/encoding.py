"""Encodings: how a search draws and repairs the genomes of one kind."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from xaijax.genetic import bit_genome


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How the genomes of a search are drawn and kept valid; hashable.

    A `space` is the search space of one image: for bits, how many genes are in use, `[]` int32.

    Attributes:
        draw: `draw(key, space, count=, words=)` returns the genomes `[count, words]` that a search starts from.
        repair: `repair(key, genomes[P, W], space)` returns the genomes with the invalid ones changed into valid ones.
        whole: `whole(space, words)` returns the genome `[words]` of the mask that keeps everything.
        is_bits: whether the genes are bits; short genomes of bits are enumerated rather than evolved.
    """

    draw: Callable[..., jax.Array]
    repair: Callable[[jax.Array, jax.Array, Any], jax.Array]
    whole: Callable[[Any, int], jax.Array]
    is_bits: bool = False


BITS = Encoding(
    draw=bit_genome.varied_density,
    repair=bit_genome.repair,
    whole=bit_genome.whole,
    is_bits=True,
)
"""One bit per segment."""

BITS_BY_HALVES = dataclasses.replace(BITS, draw=bit_genome.draw_halves)
"""The same, each of the first ones set with probability 1/2."""
