"""The stages of Evolving Binary Masks: how many squares of which size, and what each stage may keep."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.genetic import search
from xaijax.genetic.square_genome import RADIUS, SquareSpace, unpack_squares
from xaijax.genetic.state import SearchState, Settings
from xaijax.masks.square_masks import Edge, borders
from xaijax.options import REQUIREMENT, Options, Requirement, check_option, option


@dataclasses.dataclass(frozen=True)
class Stage(Options):
    """One stage of the search, from coarse to fine.

    Attributes:
        squares: squares per genome, at least 1.
        radii: one or more radii that a square may have, at least 0; in pixels at 224x224. A square of radius r is
            `2 r + 1` pixels wide. Its width scales with the image's side (the square root of its number of pixels) and
            is rounded to the nearest odd number.
        share: share of the evaluations, relative to the shares of the other stages; above 0. A stage may also spend
            what earlier stages have left.
        generations: maximum generations, counted from the first one in which a mask keeps the class; at least 1. None
            allows as many as the evaluations do.
    """

    squares: int = dataclasses.field(metadata={REQUIREMENT: Requirement(at_least=1)})
    radii: tuple[int, ...]
    share: float = option(1.0, above=0)
    generations: int | None = option(None, at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("radii", min(self.radii, default=-1) >= 0, self.radii, "one or more numbers, at least 0")


GROSS, FINE = Stage(4, (30, 35, 40)), Stage(50, (5, 8, 11), share=2.0)


@chex.dataclass(frozen=True)
class Kept:
    """What each stage may keep of one image."""

    allowed: jax.Array  # [K, H, W] bool, what each stage may keep
    counted: jax.Array  # [] int32, the generation from which the generations of the stage are counted


def square_counts(stages: tuple[Stage, ...]) -> np.ndarray:
    """Returns the squares of a genome in each stage, `[K]` int32."""
    return np.array([stage.squares for stage in stages], np.int32)


def stage_budgets(stages: tuple[Stage, ...], evaluations: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns how many evaluations are spent when each stage begins and when it ends, `[K]` int32 each."""
    ends = np.cumsum([stage.share for stage in stages]) / sum(stage.share for stage in stages)
    ends = np.ceil(ends * evaluations).astype(np.int32)
    return np.concatenate([[0], ends[:-1]]).astype(np.int32), ends


def scaled_radii(stages: tuple[Stage, ...], height: int, width: int) -> np.ndarray:
    """Returns the radii of each stage in pixels of an image, scaled by its side: `[K, R]` int32, padded with -1."""
    scale = math.sqrt(height * width) / 224
    most = max(len(stage.radii) for stage in stages)
    rows = [[max(round(((2 * radius + 1) * scale - 1) / 2), 0) for radius in stage.radii] for stage in stages]
    return np.array([row + [-1] * (most - len(row)) for row in rows], np.int32)


def wider_radii(stages: tuple[Stage, ...], height: int, width: int, stage: jax.Array, widening: jax.Array) -> jax.Array:
    """Returns the radii `[R]` of a stage whose squares are wider by a share `widening` `[]` of their own width."""
    wide = 2 * jnp.asarray(np.maximum(scaled_radii(stages, height, width), 0))[stage] + 1
    radii = jnp.floor((wide.astype(jnp.float32) * (1 + widening) - 1) / 2)
    return jnp.minimum(radii, RADIUS - 1).astype(jnp.int32)


def stage_space(stages: tuple[Stage, ...], height: int, width: int, number: jax.Array | int = 0) -> SquareSpace:
    """Returns what the squares of stage `number` may be in an image, their centres anywhere."""
    radii, counts = scaled_radii(stages, height, width), square_counts(stages)
    boxes = np.zeros((counts.max(), 4), np.int32)
    boxes[0] = 0, 0, height - 1, width - 1
    stage = jnp.asarray(number, jnp.int32)
    return SquareSpace(
        stage=stage,
        count=jnp.asarray(counts)[stage],
        radii=jnp.asarray(np.maximum(radii, 0))[stage],
        kinds=jnp.asarray((radii >= 0).sum(axis=1, dtype=np.int32))[stage],
        boxes=jnp.asarray(boxes),
        regions=jnp.int32(1),
    )


def has_settled(state: SearchState) -> jax.Array:
    """Whether a search ended as further generations were expected to gain little, `[]` bool; its next stage may."""
    return (state.stop_reason == search.STALLED) | (state.stop_reason == search.CONVERGED)


def stage_progress(
    settings: Settings, stages: tuple[Stage, ...], state: SearchState, none_kept: jax.Array, *, restarts: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns how far the stage of a search is after a generation.

    A stage is over when it has spent its evaluations or had its generations. While none of its masks keeps the class,
    it is prolonged by as much again, at most `restarts` times.

    Args:
        settings: of the search.
        stages: the K stages.
        state: of a search whose context is `Kept`.
        none_kept: `[]` bool, whether no mask of the stage keeps the class.
        restarts: see above.

    Returns:
        Whether the stage is over, `[]` bool; how often it was prolonged, `[]` int32; and the generation from which its
        generations are counted, `[]` int32.
    """
    stage, now = state.space.stage, state.generation - 1
    limit = jnp.asarray([bound.generations or settings.generations for bound in stages], jnp.int32)[stage]
    counted = jnp.where(none_kept, now, state.context.counted)
    had = now - jnp.minimum(counted, state.entered + restarts * limit)
    begins, ends = stage_budgets(stages, settings.evaluations)
    longest = np.minimum(begins + (1 + restarts) * (ends - begins), settings.evaluations)
    most = jnp.where(none_kept, jnp.asarray(longest)[stage], jnp.asarray(ends)[stage])
    over = (had >= limit) | (state.spent >= most) | has_settled(state)
    by_evaluations = (state.spent - jnp.asarray(begins)[stage]) // jnp.asarray(np.maximum(ends - begins, 1))[stage]
    rounds = jnp.clip(jnp.maximum(by_evaluations, (now - state.entered) // limit), 0, restarts)
    return over, jnp.where(none_kept, rounds, 0), counted


def enter_next(
    settings: Settings,
    stages: tuple[Stage, ...],
    state: SearchState,
    kept: jax.Array,
    none_kept: jax.Array,
    *,
    edge: Edge,
) -> SearchState:
    """Enters the next stage, or the last stage once more.

    Args:
        settings: of the search.
        stages: the K stages.
        state: as for `stage_progress`.
        kept: `[H, W]` bool, what the next stage may keep.
        none_kept: as for `stage_progress`; if True, the squares of the next stage may lie wherever those of this one
            could.
        edge: see `xaijax.masks.square_masks.paint`.
    """
    stage = state.space.stage
    height, width = kept.shape
    later = jnp.arange(len(stages))[:, None, None] > stage
    sides = borders(unpack_squares(state.population[0, 1:]), edge=edge)
    lowest, highest = jnp.array([0, 0, 0, 0]), jnp.array([height, width, height, width]) - 1
    boxes = jnp.clip(jnp.stack(sides, axis=1), lowest[None], highest[None])
    space = stage_space(stages, height, width, jnp.minimum(stage + 1, len(stages) - 1))
    within = dataclasses.replace(
        space,
        boxes=jnp.where(none_kept, state.space.boxes, boxes),
        regions=jnp.where(none_kept, state.space.regions, state.space.count),
    )
    allowed = jnp.where(later, kept[None], state.context.allowed)
    return search.enter(settings, state, within, Kept(allowed=allowed, counted=state.generation - 1))
