"""E-LIME: evolves which superpixels to keep so that the classifier still, or more strongly, sees the class."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import (
    LEAST_SHARE,
    RESPONSE,
    Game,
    Response,
    Targets,
    in_game,
    is_probable,
    log_odds_of,
    log_odds_of_share,
    penalised_probability,
    probability_and_area,
)
from xaijax.genetic import search
from xaijax.genetic.archive import is_known
from xaijax.genetic.bit_genome import complement, count_words
from xaijax.genetic.crossover import CROSSOVERS
from xaijax.genetic.encoding import BITS, BITS_BY_HALVES
from xaijax.genetic.mutation import bit_flip
from xaijax.genetic.pareto import crowded_preference, front_hypervolume
from xaijax.genetic.state import Mutation
from xaijax.masks import superpixels
from xaijax.masks.fills import Fill, split_fill
from xaijax.masks.segmentation import make_segmentation
from xaijax.methods.elime.confirmation import (
    Confirmed,
    Demand,
    confirm,
    confirmation_readout,
    confirmed_shapes,
    passes_of,
    views_of_game,
    worth,
)
from xaijax.methods.elime.nested_masks import nested_masks
from xaijax.methods.elime.preselection import expected_quality
from xaijax.methods.elime.warm_start import start_genomes
from xaijax.methods.evolving import EvolvingMethod
from xaijax.methods.pareto_front import FRONT, make_front, pick_smallest
from xaijax.methods.result import conclude
from xaijax.methods.searching import Searches, statuses_of
from xaijax.methods.superpixel_based import SuperpixelBased
from xaijax.methods.surrogate import SegmentPrior, contributions, segment_prior
from xaijax.micro_batches import RESPONSE_READOUT, Readout, Scenario
from xaijax.options import option
from xaijax.sequential import map_rows

PLAIN_GA: Mapping[str, Any] = {"objective": "probability", "fill": "black", "initial": "random", "elites": 0}
"""Options that make `ELIME` a plain genetic algorithm on the published fitness: one random population, and children of
selection, crossover and mutation alone, which replace their parents."""

DESIGNED = 100
"""Evaluations after which further designed masks teach less than evolution does."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ELIME(SuperpixelBased, EvolvingMethod):
    """Evolves bits over superpixels; the fitness is the probability of the explained class on the masked image.

    It also has the options of `EvolvingMethod` and `SuperpixelBased`.

    Attributes:
        objective: "pareto" evolves the front of probability and area by NSGA-II and returns its smallest mask that
            keeps enough probability; "probability" maximises probability minus `area_weight` times area: the published
            fitness, in a genetic algorithm of our own, as only the abstract could be read. `PLAIN_GA` makes that plain.
        fill: one fill, or several joined by `+`: masks are searched under the first, and those that could be picked are
            confirmed under the others; `probability` and `front` are the lowest over all of them.
        game: "preservation" finds a mask that keeps the class although all else is removed; "deletion" finds one whose
            removal loses the class, and its probability is that of losing it; "both", for the objective "pareto", one
            that keeps the class and whose removal loses it.
        area_weight: penalty on the area of a mask for the objective "probability", at least 0.
        keep: share of the whole image's probability that a mask must keep for the objective "pareto", or must lose in
            the game "deletion"; above 0 and at most 1.
        initial: how masks are drawn before any child is bred: "balanced" draws complementary pairs of varied density,
            "random" masks that keep each segment with probability 1/2.
        designed: share of the evaluations spent on masks that are drawn before any child is bred, 0 to 1 and at least
            one population; None takes half, at most 100 evaluations, for "pareto" and 0 otherwise.
        guided: share of the children that are nested masks of the score map so far, 0 to 1; None takes half for
            "pareto" and 0 otherwise.
        brood: children bred for each one that is evaluated, at least 1, the most promising by a surrogate of the
            classifier; None breeds 8 for "pareto" and 1 otherwise.
        foldover: whether every other child is the complement of the one before it, which makes the front worse.
        mutation: "bit-flip", or a function like `xaijax.genetic.mutation.bit_flip` with its options bound.
        flips: mean number of genes that bit-flip mutation flips in a child, above 0.

    References:
        arXiv 2211.15143.
    """

    takes_start: ClassVar[bool] = True
    takes_several_fills: ClassVar[bool] = True

    fill: Fill = "black+blur+image-mean"
    objective: Literal["pareto", "probability"] = option("pareto", need="'probability' or 'pareto'")
    game: Game = "preservation"
    area_weight: float = option(0.0, at_least=0)
    keep: float = option(0.9, above=0, at_most=1)
    initial: Literal["balanced", "random"] = option("balanced", need="'balanced' or 'random'")
    designed: float | None = option(None, at_least=0, at_most=1)
    guided: float | None = option(None, at_least=0, at_most=1)
    brood: int | None = option(None, at_least=1)
    foldover: bool = False
    mutation: Literal["bit-flip"] | Mutation = "bit-flip"
    flips: float = option(1.0, above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective == "probability" and self.game == "both":
            raise ValueError(
                "game is 'both' but the objective is 'probability', which asks for no loss; choose 'pareto'."
            )
        if self.objective == "probability":
            self.refuse_ignored(("keep",), "the objective 'probability' returns the fittest mask")
        if self.objective == "pareto" and self.area_weight > 0:
            raise ValueError(
                f"area_weight is {self.area_weight!r} but a front has no weights; choose objective='probability'."
            )

    @property
    def fills(self) -> int:
        """How many fills there are."""
        return len(split_fill(self.fill))

    @property
    def views(self) -> int:
        """The most views of a mask, a forward pass each; of several, masks are confirmed in all."""
        return len(views_of_game(self.fills, self.game))

    @property
    def settings(self) -> search.Settings:
        """The settings of the search that the options describe."""
        population, generations = self.sizes
        pareto = self.objective == "pareto"
        designed, guided, brood = self.designed, self.guided, self.brood
        if designed is None:
            designed = min(0.5, DESIGNED / self.evaluations) if pareto else 0.0
        if guided is None:
            guided = 0.5 if pareto else 0.0
        if brood is None:
            brood = 8 if pareto else 1
        guides = round(guided * population / (2 if self.foldover else 1))
        measure = (
            probability_and_area if pareto else functools.partial(penalised_probability, area_weight=self.area_weight)
        )
        goal = None
        if self.target_probability is not None:
            reached = functools.partial(is_probable, least=self.target_probability)
            goal = self._of_values(functools.partial(_worth, self.game, reached))
        guide = functools.partial(nested_masks, count=guides, removed=self.game == "deletion")
        preselection = functools.partial(expected_quality, game=self.game)
        settings = self.describe(
            words=count_words(self.max_segments),
            encoding=BITS if self.initial == "balanced" else BITS_BY_HALVES,
            crossover=self.crossover if callable(self.crossover) else CROSSOVERS[self.crossover],
            mutation=self.mutation if callable(self.mutation) else functools.partial(bit_flip, flips=self.flips),
            fitness=self._of_values(functools.partial(_worth, self.game, measure)),
            goal=goal,
            designed=max(1, round(designed * min((self.evaluations - 1) / population, generations))),
            guide=self._of_archive(guide, 1) if guides else None,
            preselection=self._of_archive(preselection, 0) if brood > 1 else None,
            passes=passes_of if self.views > 1 else None,
            most_passes=self.views,
            brood=brood,
            foldover=self.foldover,
        )
        if not pareto:
            return settings
        return dataclasses.replace(
            settings,
            elites=population if self.elites is None else settings.elites,
            preference=crowded_preference,
            quality=functools.partial(front_hypervolume, reference=(0.0, -1.0)),
        )

    def readout(self, classifier: Classifier) -> Readout:
        """See `SearchingMethod.readout`."""
        if self.views == 1:
            return RESPONSE_READOUT
        return confirmation_readout(self.fills, self.game, self._confirmed_weight)

    def response(self, values: Any) -> Response:
        """See `SearchingMethod.response`; of several views that in which the mask is worth the least."""
        response: Response = values if self.views == 1 else values.lowest
        return response

    def learn(self, state: search.SearchState, values: Any) -> search.SearchState:
        """See `SearchingMethod.learn`."""
        return super().learn(state, values if self.views == 1 else confirm(values, fills=self.fills, game=self.game))

    def scenario_now(self, searches: Searches) -> Scenario:
        """See `SearchingMethod.scenario_now`; the states hold what is asked of a mask."""
        if self.views == 1:
            return searches.scenario
        return dataclasses.replace(searches.scenario, baselines=jax.vmap(self._demand)(searches.states))

    def _demand(self, state: search.SearchState) -> Demand:
        """Returns what is asked of the masks of one image."""
        values: Confirmed = state.archive.values
        original = values.lowest.log_odds[0]
        worths = worth(in_game(self.game, values.lowest), area_weight=self._confirmed_weight)
        least, nothing = jnp.float32(-jnp.inf), -jnp.inf
        if self.objective == "pareto":
            least, nothing = self._enough(original), -1.0
            if self.target_probability is not None:
                least = jnp.maximum(least, log_odds_of(self.target_probability))
        best = jnp.max(jnp.where(values.is_confirmed, worths, nothing))
        is_first = state.archive.count == 0  # the whole image
        return Demand(
            least=least,
            most=self._most(original),
            better=jnp.where(is_first, jnp.inf, best),
        )

    @property
    def _confirmed_weight(self) -> float | None:
        """The weight of area in what makes a mask better than those that are confirmed; see `worth`."""
        return None if self.objective == "pareto" else self.area_weight

    def decode(self, context: jax.Array, genome: jax.Array) -> jax.Array:
        """See `xaijax.masks.superpixels.decode`; the context is the label map."""
        return superpixels.decode(context, genome)

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Searches:
        """See `SearchingMethod.begin`."""
        settings = self.settings
        room = settings.designed * settings.population
        if batch.start is not None and batch.start.ndim == 4 and batch.start.shape[1] > room:
            raise ValueError(
                f"start holds {batch.start.shape[1]} masks an image but the first population has room for {room}; give "
                "fewer, or more evaluations."
            )
        if batch.start is not None and batch.labels is None:
            bound = make_segmentation(self.segmentation).label_bound(*batch.images.shape[1:3])
            if bound <= settings.enumerated:
                raise ValueError(
                    f"start has no effect, as all masks of {bound} segments are evaluated; leave it out, or take more "
                    "segments."
                )
        segmented = self.segment(classifier, batch)
        values = RESPONSE if self.views == 1 else confirmed_shapes(self.fills)
        active = batch.active & (segmented.length > 1)

        def init(
            key: jax.Array,
            length: jax.Array,
            active: jax.Array,
            start: jax.Array | None,
            segments: jax.Array,
            layout: SegmentPrior,
        ) -> Any:
            genomes = None
            if start is not None:
                count = settings.population // 2 if start.ndim == 2 else start.shape[0]
                genomes = start_genomes(start, segments, count=count, max_segments=self.max_segments)
                genomes = self._in_game(genomes, length)
            return search.init(settings, key, length, active, values, start=genomes, context=layout)

        start = batch.of_rows(batch.start)
        layouts = map_rows(functools.partial(segment_prior, max_segments=self.max_segments), segmented.segments)
        states = jax.vmap(init)(keys, segmented.length, active, start, segmented.segments, layouts)
        return Searches(states=states, scenario=segmented.scenario, merged=segmented.merged)

    def result(
        self, state: search.SearchState, segments: jax.Array, targets: Targets, merged: jax.Array, index: jax.Array
    ) -> Explanation:
        """See `SearchingMethod.result`."""
        archive, lowest = state.archive, self.response(state.archive.values)
        seen = in_game(self.game, lowest)
        evaluated = is_known(archive)
        finite = evaluated & jnp.isfinite(lowest.log_odds)
        masks = finite.at[0].set(False)  # the whole image is no mask
        works = finite[0] & jnp.any(masks)
        is_confirmed, by_fill, first = masks, None, lowest
        if self.views > 1:
            is_confirmed, by_fill, first = (
                masks & archive.values.is_confirmed,
                archive.values.by_fill,
                archive.values.first,
            )
        any_confirmed = jnp.any(is_confirmed)
        allowed = jnp.where(any_confirmed, is_confirmed, masks)
        if self.objective == "pareto":
            least = self._enough(lowest.log_odds[0])
            if self.target_probability is not None:
                reached = jnp.maximum(least, log_odds_of(self.target_probability))
                least = jnp.where(state.stop_reason == search.REACHED, reached, least)
            best, is_kept = pick_smallest(seen, allowed, least)
            weaker = {Status.NOT_KEPT: works & ~(is_kept & any_confirmed)}
        else:
            fitness = self.settings.fitness(archive.values)
            best = jnp.argmax(jnp.where(allowed, fitness, -jnp.inf))
            weaker = {Status.WEAKER: works & (fitness[best] < fitness[0])}

        segment = contributions(archive.genomes, first, finite, state.context)
        several = state.space > 1
        genomes = self._in_game(archive.genomes, state.space)
        response, picked = (jax.tree.map(lambda leaf: leaf[best], tree) for tree in (lowest, seen))
        return conclude(
            works,
            jax.tree.map(lambda leaf: leaf[0], lowest),
            dataclasses.replace(response, area=picked.area),
            mask=superpixels.decode(segments, genomes[best]),
            score=segment.density[segments],
            score_std=segment.std[segments],
            probability_by_fill=None if by_fill is None else jax.nn.sigmoid(by_fill[best]),
            genome=genomes[best],
            targets=targets,
            image_index=index,
            evaluations=state.spent,
            holds=statuses_of(
                state.stop_reason, several=several, merged=merged, evaluated=evaluated, finite=finite, works=works
            )
            | weaker
            | {Status.UNSEPARATED: works & ~segment.is_separated(state.context.sizes)},
            cp_score=picked.probability / picked.area,
            segments=segments,
            segment_score=segment.total,
            front=make_front(genomes, seen, allowed & works, size=min(FRONT, self.evaluations - 1)),
            generations=jnp.maximum(state.generation - 1, 0),
            history=state.history,
        )

    def _in_game(self, genomes: jax.Array, length: jax.Array) -> jax.Array:
        """Turns genomes `[N, W]` of kept segments into those of the mask that the game looks for, and back."""
        return complement(genomes, length) if self.game == "deletion" else genomes

    def _enough(self, original: jax.Array) -> jax.Array:
        """Returns the log-odds, in the sense of the game, that are enough, given those of the whole image."""
        if self.game == "deletion":
            return -self._most(original)
        return log_odds_of_share(original, self.keep)

    def _most(self, original: jax.Array) -> jax.Array:
        """Returns the log-odds at which the class is lost, given those of the whole image."""
        return log_odds_of_share(original, max(1 - self.keep, LEAST_SHARE))

    def _of_values(self, measure: Callable[[Response], jax.Array]) -> Callable[[Any], jax.Array]:
        """Turns a function of responses into one of what is read of masks."""
        return measure if self.views == 1 else functools.partial(_of_lowest, measure)

    def _of_archive(self, function: Callable[..., jax.Array], place: int) -> Callable[..., jax.Array]:
        """Turns a function whose argument at a place is an archive of responses into one of what is read of masks."""
        return function if self.views == 1 else functools.partial(_with_responses, function, place)


def _of_lowest(measure: Callable[[Response], jax.Array], values: Confirmed) -> jax.Array:
    return measure(values.lowest)


def _with_responses(function: Callable[..., jax.Array], place: int, *arguments: Any) -> jax.Array:
    archive = arguments[place]
    archive = dataclasses.replace(archive, values=archive.values.lowest)
    return function(*arguments[:place], archive, *arguments[place + 1 :])


def _worth(game: Game, measure: Callable[[Response], jax.Array], response: Response) -> jax.Array:
    return measure(in_game(game, response))
