"""Evolving Binary Masks: evolves a few large squares that keep the class, then many small ones within them."""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import Response, Targets
from xaijax.genetic import search
from xaijax.genetic.archive import is_known
from xaijax.genetic.square_genome import CROSSOVERS, RADIUS, SIDE, SQUARES, is_whole, redraw, unpack_squares
from xaijax.genetic.state import Mutation
from xaijax.masks.fills import split_fill
from xaijax.masks.square_masks import EDGES, paint
from xaijax.methods.binary_masks.constraints import (
    BothSides,
    both_sides,
    both_sides_shapes,
    feasible_first,
    matrix_confidence,
    originals,
    recognition_readout,
    tier,
)
from xaijax.methods.binary_masks.pixel_scores import pixel_evidence
from xaijax.methods.binary_masks.score_matrix import score_matrix
from xaijax.methods.binary_masks.stages import (
    FINE,
    GROSS,
    Kept,
    Stage,
    enter_next,
    has_settled,
    scaled_radii,
    square_counts,
    stage_progress,
    stage_space,
    wider_radii,
)
from xaijax.methods.evolving import EvolvingMethod
from xaijax.methods.pareto_front import FRONT, make_front
from xaijax.methods.pixel_based import PixelBased
from xaijax.methods.result import conclude
from xaijax.methods.searching import STATUS_OF, Searches
from xaijax.micro_batches import Readout, Scenario
from xaijax.options import check_option, option
from xaijax.sequential import map_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class BinaryMasks(PixelBased, EvolvingMethod):
    """Evolves squares to keep, stage by stage, so that the class is kept and the inner activations change least.

    The fitness first requires that the masked image keeps the class, then that its inverse loses it, then that the
    activations at the taps stay near the original's. It also has the options of `EvolvingMethod` and `PixelBased`.

    Attributes:
        fill: one fill, or several joined by `+`: a mask that keeps the class under the first is looked at under the
            next, and must do what is asked under all; `probability` and `front` are the lowest over all of them.
        stages: from coarse to fine; each stage is confined to the pixels that the fittest mask of the previous one
            kept.
        negative_reinforcement: whether the inverse of a mask must lose the class; it is evaluated for masks that keep
            the class, which then cost two evaluations.
        keep: share of the whole image's probability that a mask must keep besides the class, 0 to 1.
        taps: names of the activations to compare; None takes the classifier's `stage1`, `stage2`, ... For a classifier
            without taps the probability is compared instead (`Status.BY_PROBABILITY`).
        relative: whether differences at a tap are relative to the size of the original's activations there.
        fitness: "feasible" for what masks achieve and then their activations, or a function like
            `xaijax.methods.binary_masks.constraints.feasible_first`.
        mutation: "redraw", or a function like `xaijax.genetic.square_genome.redraw` with its options bound.
        redrawn: squares of a child that the mutation "redraw" draws anew, at least 1.
        score: "evidence" scores a pixel by the mean log-odds of masks that keep it minus that of masks that do not
            (`xaijax.methods.binary_masks.pixel_scores`); "matrix" is the published score matrix, to which the fittest
            mask of every generation adds its normalised confidence, -1 if it fails, in each of its squares.
        edge: treatment of a square at the border: "clamped" cuts it off, "reflected" is the notebook's arithmetic.
        restarts: how often a stage is prolonged, by as many evaluations and generations again, while no mask keeps the
            class; at least 0.
        widening: share of their width by which squares grow with each restart, at least 0.

    References:
        rudra-99/XAI-Evolving-Binary-Masks.
    """

    takes_several_fills: ClassVar[bool] = True

    evaluations: int = 1200
    tournament_size: int = 4
    stages: tuple[Stage, ...] = (GROSS, FINE)
    negative_reinforcement: bool = True
    keep: float = option(0.5, at_least=0, at_most=1)
    taps: tuple[str, ...] | None = None
    relative: bool = True
    fitness: Literal["feasible"] | Callable[..., jax.Array] = "feasible"
    mutation: Literal["redraw"] | Mutation = "redraw"
    redrawn: int = option(1, at_least=1)
    score: Literal["evidence", "matrix"] = "evidence"
    edge: Literal["clamped", "reflected"] = "clamped"
    restarts: int = option(2, at_least=0)
    widening: float = option(0.5, at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("stages", len(self.stages) >= 1, self.stages, "one or more")

    @property
    def fills(self) -> int:
        """How many fills there are."""
        return len(split_fill(self.fill))

    @property
    def settings(self) -> search.Settings:
        """The settings of the search that the options describe."""
        goal = None
        if self.target_probability is not None:
            goal = functools.partial(_reaches, least=self.target_probability)
        return self.describe(
            words=1 + max(stage.squares for stage in self.stages),
            encoding=SQUARES,
            crossover=self.crossover if callable(self.crossover) else CROSSOVERS[self.crossover],
            mutation=self.mutation if callable(self.mutation) else functools.partial(redraw, squares=self.redrawn),
            fitness=self.fitness if callable(self.fitness) else feasible_first,
            goal=goal,
            passes=_passes,
            most_passes=self.fills * (2 if self.negative_reinforcement else 1),
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """See `EvolvingMethod.sizes`; the generations are those of all stages together."""
        population, fitting = super().sizes
        bounds = [stage.generations and stage.generations * (1 + self.restarts) for stage in self.stages]
        return population, self.generations or (sum(b for b in bounds if b) if all(bounds) else fitting)

    def readout(self, classifier: Classifier) -> Readout:
        """See `SearchingMethod.readout`."""
        return recognition_readout(
            self._taps(classifier), keep=self.keep, inverse=self.negative_reinforcement, fills=self.fills
        )

    def response(self, values: Any) -> Response:
        """See `SearchingMethod.response`."""
        response: Response = values.mask.response
        return response

    def learn(self, state: search.SearchState, values: Any) -> search.SearchState:
        """See `SearchingMethod.learn`."""
        return super().learn(state, both_sides(values))

    def scenario_now(self, searches: Searches) -> Scenario:
        """See `SearchingMethod.scenario_now`; the states hold what may be kept, and the responses to the originals."""
        states = searches.states
        log_odds = self.response(states.archive.values).log_odds[:, 0]
        return dataclasses.replace(searches.scenario, contexts=states.context, baselines=log_odds)

    def decode(self, context: Kept, genome: jax.Array) -> jax.Array:
        """Paints a genome within what its stage may keep."""
        stage = jnp.minimum(genome[0], len(self.stages) - 1).astype(jnp.int32)
        height, width = context.allowed.shape[1:]
        used = jnp.arange(len(genome) - 1) < jnp.asarray(square_counts(self.stages))[stage]
        mask = paint(unpack_squares(genome[1:]), used, height=height, width=width, edge=EDGES[self.edge])
        return (mask & context.allowed[stage]) | is_whole(genome)

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Searches:
        """See `SearchingMethod.begin`."""
        shape, taps = batch.images.shape[1:3], self._taps(classifier)
        largest = max(scaled_radii(self.stages, *shape).max(), 0)
        if max(shape) > SIDE or largest >= RADIUS:
            raise ValueError(
                f"the images are {shape[0]} x {shape[1]} pixels and the largest radius is {largest}, but a square lies "
                f"within {SIDE} pixels and has a radius below {RADIUS}; make the images smaller."
            )
        settings, values = self.settings, both_sides_shapes(self.fills)
        context = Kept(allowed=jnp.ones((len(self.stages), *shape), jnp.bool_), counted=jnp.int32(0))

        def init(key: jax.Array, active: jax.Array) -> Any:
            state = search.init(settings, key, stage_space(self.stages, *shape), active, values, context=context)
            return dataclasses.replace(state, spent=(active & bool(taps)).astype(jnp.int32))  # the original's taps

        references = originals(classifier, batch.images, taps, relative=self.relative)
        scenario = dataclasses.replace(
            self.scenario(classifier, batch),
            references=references,
            baselines=jnp.zeros(batch.active.shape, jnp.float32),
        )
        return Searches(
            states=jax.vmap(init)(keys, batch.active),
            scenario=scenario,
            merged=jnp.zeros_like(batch.active),
        )

    def proceed(self, state: search.SearchState) -> search.SearchState:
        """Enters the next stage once one is over, and lets squares grow while no mask of the stage keeps the class."""
        stage, last = state.space.stage, len(self.stages) - 1
        of_stage = (state.archive.genomes[:, 0] == stage.astype(jnp.uint32)) & is_known(state.archive)
        none_kept = ~jnp.any(of_stage & (tier(state.archive.values) > 0))
        settings = self.settings
        over, rounds, counted = stage_progress(settings, self.stages, state, none_kept, restarts=self.restarts)
        reason = jnp.where(
            (stage == last) & over & (state.stop_reason == search.RUNNING), search.GENERATION_LIMIT, state.stop_reason
        )
        height, width = state.context.allowed.shape[1:]
        radii = wider_radii(self.stages, height, width, stage, self.widening * rounds.astype(jnp.float32))
        here = dataclasses.replace(
            state,
            stop_reason=reason,
            space=dataclasses.replace(state.space, radii=radii),
            context=dataclasses.replace(state.context, counted=counted),
        )
        goes_on = (state.stop_reason == search.RUNNING) | has_settled(state)
        enters = over & goes_on & (stage < last) & (state.generation > 1)
        kept = jnp.where(none_kept, state.context.allowed[stage], self.decode(state.context, state.population[0]))
        there = enter_next(settings, self.stages, state, kept, none_kept, edge=EDGES[self.edge])
        return jax.tree.map(lambda after, before: jnp.where(enters, after, before), there, here)

    def finish(self, searches: Searches, batch: Batch) -> Explanation:
        """See `SearchingMethod.finish`."""
        states = searches.states
        by_probability = jnp.full(batch.active.shape, not searches.scenario.references.activations)
        rows = (states, self.targets(states, batch), by_probability, batch.image_index)
        return map_rows(lambda row: self._result(*row), rows)

    def _result(
        self, state: search.SearchState, targets: Targets, by_probability: jax.Array, index: jax.Array
    ) -> Explanation:
        archive, context = state.archive, state.context
        seen = self.response(archive.values)
        known = is_known(archive)
        finite = known & jnp.isfinite(seen.log_odds)
        masks = finite & (seen.area > 0) & (seen.area < 1)
        works = finite[0] & jnp.any(masks)
        achieved = jnp.where(masks, tier(archive.values), -1)
        best_tier = jnp.max(achieved)
        stage = jnp.where((achieved == best_tier) & (best_tier > 0), archive.genomes[:, 0].astype(jnp.int32), 0)
        candidates = (achieved == best_tier) & (stage == jnp.max(stage))
        fitness = self.settings.fitness(archive.values)
        best = jnp.argmax(jnp.where(candidates, fitness, -jnp.inf))
        picked = jax.tree.map(lambda leaf: leaf[best], seen)
        under_fills, on_front = archive.values.under_fills, masks
        if under_fills is not None:
            is_seen = masks & ~jnp.any(jnp.isnan(under_fills.log_odds), axis=1)
            on_front = jnp.where(jnp.any(is_seen), is_seen, masks)
        return conclude(
            works,
            jax.tree.map(lambda leaf: leaf[0], seen),
            picked,
            mask=self.decode(context, archive.genomes[best]),
            score=self._score(state),
            probability_by_fill=None if under_fills is None else jax.nn.sigmoid(under_fills.log_odds[best]),
            genome=archive.genomes[best],
            targets=targets,
            image_index=index,
            evaluations=state.spent,
            holds={code: state.stop_reason == ended for ended, code in STATUS_OF.items()}
            | {
                Status.NOT_FINITE: known[0] & ~finite[0],
                Status.NO_MASK: finite[0] & ~works,
                Status.SOME_NOT_FINITE: works & jnp.any(known & ~finite),
                Status.NOT_KEPT: works & (best_tier == 0),
                Status.STILL_SEEN: works & (best_tier == 1),
                Status.BY_PROBABILITY: works & by_probability,
            },
            front=make_front(archive.genomes, seen, on_front & works, size=min(FRONT, len(known) - 1)),
            generations=jnp.maximum(state.generation - 1, 0),
            history=state.history,
        )

    def _score(self, state: search.SearchState) -> jax.Array:
        archive = state.archive
        if self.score == "evidence":
            decode = functools.partial(self.decode, state.context)
            masks = is_known(archive) & ~is_whole(archive.genomes)
            stage = jnp.minimum(archive.genomes[:, 0], len(self.stages) - 1).astype(jnp.int32)
            return pixel_evidence(decode, archive.genomes, archive.values, masks, stage, groups=len(self.stages))
        genomes, values = jax.tree.map(lambda leaf: leaf[state.champions], (archive.genomes, archive.values))
        happened = jnp.arange(len(genomes)) < state.generation - 1
        worth = jnp.where(happened, matrix_confidence(values), 0)
        return score_matrix(
            genomes, worth, self.response(values).area, state.context.allowed, self.stages, edge=EDGES[self.edge]
        )

    def _taps(self, classifier: Classifier) -> tuple[str, ...]:
        """Returns the taps whose activations are compared."""
        if self.taps is None:
            return tuple(name for name in classifier.taps if re.fullmatch(r"stage\d+", name))
        strangers = sorted({*self.taps} - {*classifier.taps})
        if strangers:
            listed = ", ".join(classifier.taps) or "none"
            raise ValueError(f"taps names {', '.join(strangers)}, but the classifier's taps are {listed}.")
        return self.taps


def _passes(values: BothSides) -> jax.Array:
    """Forward passes that each mask took."""
    if values.under_fills is not None:
        return values.under_fills.passes
    return 1 + values.is_inverted.astype(jnp.int32)


def _reaches(values: BothSides, *, least: float) -> jax.Array:
    return (tier(values) == 2) & (values.mask.response.probability >= jnp.float32(least))
