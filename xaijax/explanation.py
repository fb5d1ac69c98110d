"""The result of an explanation, and why it ended."""

import dataclasses
import enum
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp


class Status(enum.IntFlag):
    """Why the search of an image ended, and what is to be known of its result; several may hold at once."""

    SPENT = 1
    ENDED = 2
    EXHAUSTED = 4
    MERGED = 8
    WEAKER = 16
    ONE_SEGMENT = 32
    NOT_FINITE = 64
    SOME_NOT_FINITE = 128
    STALLED = 256
    REACHED = 512
    NOT_KEPT = 1024
    NO_MASK = 2048
    STILL_SEEN = 4096
    BY_PROBABILITY = 8192

    @property
    def message(self) -> str:
        """The status in full sentences."""
        return " ".join(_MESSAGES[status] for status in Status if status in self) or "The search has not ended."

    @property
    def is_failure(self) -> bool:
        """Whether there is no explanation."""
        return bool(self & (Status.ONE_SEGMENT | Status.NOT_FINITE | Status.NO_MASK))


_MESSAGES = {
    Status.SPENT: "The search spent its evaluations.",
    Status.ENDED: "The search reached its last generation.",
    Status.EXHAUSTED: "The segments are so few that every mask was evaluated.",
    Status.MERGED: "The segmentation had more than max_segments segments, so the smallest joined their nearest; raise "
    "max_segments to keep them apart.",
    Status.WEAKER: "No mask was worth as much as the whole image; the best mask found is given.",
    Status.ONE_SEGMENT: "The image is a single segment, so nothing can be left out of it; choose a finer segmentation.",
    Status.NOT_FINITE: "The classifier returned NaN or infinity for the whole image; check its weights and the image.",
    Status.SOME_NOT_FINITE: "The classifier returned NaN or infinity for some masked images, which lost the search; "
    "check its weights or choose another fill.",
    Status.STALLED: "The search found nothing better for as many generations as its patience allows.",
    Status.REACHED: "The search reached the target probability.",
    Status.NOT_KEPT: "No mask did to the probability what was wanted; the one that came nearest is given.",
    Status.NO_MASK: "Every mask that was tried keeps the whole image; choose smaller or fewer squares.",
    Status.STILL_SEEN: "Wherever a mask keeps the class, the rest of the image is still recognised as the class.",
    Status.BY_PROBABILITY: "The classifier offers no taps to compare, so the fitness follows the probability.",
}


def status_of(holds: Mapping[Status, jax.Array]) -> jax.Array:
    """Returns the status `[]` int32 of a row, of which each `Status` holds or does not, `[]` bool."""
    return functools.reduce(jnp.bitwise_or, [jnp.where(holds[code], int(code), 0) for code in holds])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Front:
    """The evaluated masks that no other beats in both probability and area, by rising area; NaN past the last.

    Attributes:
        probability: `[B, F]` float32, rising; in the deletion game that of losing the class.
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
    """How explanations of the same row by R seeds agree.

    Attributes:
        overlap: `[B]` float32, mean pairwise overlap of the masks above chance; see
            `xaijax.metrics.overlap_above_chance`. 1 is equal masks, 0 what chance gives masks of these areas, NaN where
            a seed found nothing.
        frequency: `[B, H, W]` float32 in [0, 1], the share of the seeds whose mask keeps the pixel.
        probability: `[B, R]` float32, of each seed, NaN where it found nothing; the first is the row's own.
        area: `[B, R]` float32.
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
        mask: `[B, H, W]` bool, kept pixels; in the deletion game (see `ELIME`) those removed, whose share the area is.
        score: `[B, H, W]` float32, signed contribution of each pixel to the explained class, in log-odds; the
            score matrix of `BinaryMasks` is in [0, 1].
        image_index: `[B]` int32, the image that the row is about.
        target: `[B]` int32, the class explained.
        against: `[B]` int32, the class that it is told from, -1 for all others. Where there is one, the probability is
            the target's share of the two, p(target) / (p(target) + p(against)), here and in the fields below.
        original_probability: `[B]` float32, of the class on the whole image.
        probability: `[B]` float32, of the class on the masked image, in the deletion game on what is left.
        area: `[B]` float32, kept pixels / all pixels.
        cp_score: `[B]` float32, probability / area (in the deletion game, that of losing the class / area); it rewards
            tiny masks, so read it beside both.
        genome: `[B, ...]`, the evolved genome.
        segments: `[B, H, W]` int32, or None for a method without segments.
        segment_score: `[B, S]` float32, signed contribution of each segment in log-odds, or None.
        front: `Front`, or None for a method that keeps no archive.
        stability: `Stability`, or None where `explain` was not asked for repeats.
        evaluations: `[B]` int32, forward passes that the row cost, the whole image's included; not the pass over the
            whole image that ranks the classes for "topK" and `against`.
        generations: `[B]` int32.
        status: `[B]` int32; `Status(code).message` says it in words.
        history: `[B, G]` float32, fitness of the best survivor after each generation, or the hypervolume of the
            survivors for two objectives; NaN after the end.
    """

    mask: jax.Array
    score: jax.Array
    image_index: jax.Array
    target: jax.Array
    against: jax.Array
    original_probability: jax.Array
    probability: jax.Array
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
