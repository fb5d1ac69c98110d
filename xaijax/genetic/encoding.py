"""Encodings: what the words of a genome stand for, as the functions that a search needs of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from xaijax.genetic import bit_genome


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How the genomes of a search are drawn and kept meaningful; hashable.

    A `space` says what the genomes of one image may be: of bits, the genes in use, `[]` int32.

    Attributes:
        draw: `draw(key, space, count=, words=)` returns the genomes `[count, words]` that a search starts from.
        repair: `repair(key, genomes[P, W], space)` mends those that stand for no mask.
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
"""A bit a segment."""
