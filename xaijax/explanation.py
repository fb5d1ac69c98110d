"""The result of `explain`, and the status of each search."""

import dataclasses
import enum
import functools
from collections.abc import Mapping
from typing import Self

import jax
import jax.numpy as jnp


class Status(enum.IntFlag):
    """Why the search of an image ended, and caveats about its result; several may hold at once.

    Each member is defined by its bit and its message, one sentence.
    """

    _sentence: str

    def __new__(cls, value: int, sentence: str = "") -> Self:
        """Makes a member; a combination of members is made without a sentence of its own."""
        member = int.__new__(cls, value)
        member._value_ = value
        member._sentence = sentence
        return member

    SPENT = 1, "The search spent its evaluations."
    ENDED = 2, "The search reached its last generation."
    EXHAUSTED = 4, "The segments are so few that every mask was evaluated."
    MERGED = (
        8,
        "The segmentation had more than max_segments segments, so the smallest joined their nearest; raise "
        "max_segments to keep them apart.",
    )
    WEAKER = 16, "No mask was worth as much as the whole image; the best mask found is given."
    ONE_SEGMENT = (
        32,
        "The image is a single segment, so nothing can be left out of it; choose a finer segmentation.",
    )
    NOT_FINITE = (
        64,
        "The classifier returned NaN or infinity for the whole image; check its weights and the image.",
    )
    SOME_NOT_FINITE = (
        128,
        "The classifier returned NaN or infinity for some masked images, which lost the search; check its weights or "
        "choose another fill.",
    )
    STALLED = 256, "The search found nothing better for as many generations as its patience allows."
    REACHED = 512, "The search reached the target probability."
    NOT_KEPT = 1024, "No mask met the requirement on the probability; the one that came nearest is given."
    NO_MASK = 2048, "Every mask that was tried keeps the whole image; choose smaller or fewer squares."
    STILL_SEEN = 4096, "Wherever a mask keeps the class, the rest of the image is still recognised as the class."
    BY_PROBABILITY = 8192, "The classifier offers no taps to compare, so the fitness follows the probability."
    UNSEPARATED = (
        16384,
        "The segment of highest score cannot be told apart from one in the middle of the ranking; more evaluations "
        "would tell.",
    )
    CONVERGED = 32768, "The search converged: further generations were not expected to gain much."

    @property
    def message(self) -> str:
        """The status in full sentences."""
        return " ".join(status._sentence for status in Status if status in self) or "The search has not ended."

    @property
    def is_failure(self) -> bool:
        """Whether there is no explanation."""
        return bool(self & (Status.ONE_SEGMENT | Status.NOT_FINITE | Status.NO_MASK))


def status_of(holds: Mapping[Status, jax.Array]) -> jax.Array:
    """Returns the status `[]` int32 of a row, given whether each `Status` holds, `[]` bool."""
    return functools.reduce(jnp.bitwise_or, [jnp.where(holds[code], int(code), 0) for code in holds])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Front:
    """The evaluated masks that no other beats in both probability and area, by rising area, padded with NaN.

    Attributes:
        probability: `[B, F]` float32, rising; in the deletion game, of losing the class.
        area: `[B, F]` float32, rising.
        genome: `[B, F, W]` uint32, packed bits over segments (see `xaijax.masks.superpixels.decode`) or squares (see
            `xaijax.genetic.square_genome`).
    """

    probability: jax.Array
    area: jax.Array
    genome: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Stability:
    """Agreement of the explanations of a row by R seeds.

    Attributes:
        overlap: `[B]` float32, mean pairwise overlap of the masks, corrected for chance; see
            `xaijax.metrics.overlap_above_chance`. 1 for equal masks, 0 for random masks of these areas, NaN where a
            seed failed.
        frequency: `[B, H, W]` float32 in [0, 1], the share of the seeds whose mask keeps the pixel.
        probability: `[B, R]` float32, of each seed, NaN where it failed; the first is the row's own.
        area: `[B, R]` float32, of each seed.
        genome: `[B, R, ...]`, of each seed.
    """

    overlap: jax.Array
    frequency: jax.Array
    probability: jax.Array
    area: jax.Array
    genome: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """Explanations of a batch: a pytree of arrays with a leading row axis.

    A failed row (`Status.is_failure`) has an empty mask, zero scores and NaN figures.

    Attributes:
        mask: `[B, H, W]` bool, kept pixels; in the deletion game (see `ELIME`) the removed pixels, here and in `area`.
        score: `[B, H, W]` float32, signed contribution of each pixel to the explained class, in log-odds; the
            score matrix of `BinaryMasks` is in [0, 1].
        score_std: `[B, H, W]` float32, standard deviation of the score: 90% of scores lie within 1.645 of it from what
            the same regression gives on many more masks. None for a method that knows none.
        image_index: `[B]` int32, the image that the row is about.
        target: `[B]` int32, the class explained.
        against: `[B]` int32, the class that it is contrasted with, -1 for all others. Where there is one, probability
            is the target's share of the two, p(target) / (p(target) + p(against)), here and in the fields below.
        original_probability: `[B]` float32, of the class on the whole image.
        probability: `[B]` float32, of the class on the masked image, in the deletion game on the rest; the lowest over
            the fills of the search where it has several.
        probability_by_fill: `[B, F]` float32, the same under each of the fills of the search, NaN where the mask was
            not evaluated under one; None for a method that takes one fill only.
        area: `[B]` float32, kept pixels / all pixels.
        cp_score: `[B]` float32, probability / area (in the deletion game, that of losing the class / area); it rewards
            tiny masks, so read it beside both.
        genome: `[B, ...]`, the evolved genome.
        segments: `[B, H, W]` int32, or None for a method without segments.
        segment_score: `[B, S]` float32, signed contribution of each segment in log-odds, or None.
        front: `Front`, or None for a method that keeps no archive.
        stability: `Stability`, or None for a single repeat.
        evaluations: `[B]` int32, forward passes of the row, including that of the whole image but not the one that
            ranks the classes for "topK" and `against`.
        generations: `[B]` int32.
        status: `[B]` int32, see `Status`; `status_message(row)` returns it in sentences.
        history: `[B, G]` float32, fitness of the best survivor after each generation, or the hypervolume of the
            survivors for two objectives; NaN after the end.
    """

    mask: jax.Array
    score: jax.Array
    score_std: jax.Array | None
    image_index: jax.Array
    target: jax.Array
    against: jax.Array
    original_probability: jax.Array
    probability: jax.Array
    probability_by_fill: jax.Array | None
    area: jax.Array
    cp_score: jax.Array
    genome: jax.Array
    segments: jax.Array | None
    segment_score: jax.Array | None
    front: Front | None
    stability: Stability | None
    evaluations: jax.Array
    generations: jax.Array
    status: jax.Array
    history: jax.Array

    def status_message(self, index: int) -> str:
        """Returns in full sentences why the search of row `index` ended."""
        return Status(int(self.status[index])).message
