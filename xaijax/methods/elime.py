"""E-LIME: evolves which superpixels to keep so that the classifier still, or more strongly, sees the class."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import (
    RESPONSE,
    Game,
    Response,
    Targets,
    in_game,
    is_probable,
    penalised_probability,
    probability_and_area,
)
from xaijax.genetic import search
from xaijax.genetic.crossover import CROSSOVERS
from xaijax.genetic.genome import count_words, whole
from xaijax.genetic.mutation import bit_flip
from xaijax.genetic.pareto import crowded_preference, hypervolume
from xaijax.genetic.selection import stochastic_universal_sampling, tournament
from xaijax.masks import superpixels
from xaijax.methods.batch import Batch
from xaijax.methods.conclusion import conclude
from xaijax.methods.evolution import Evolution, EvolvingMethod, asked
from xaijax.methods.front import make_front, pick_smallest
from xaijax.methods.on_segments import OnSegments, check_option
from xaijax.methods.start import start_genomes
from xaijax.methods.surrogate import contributions

_ENDED = {
    search.SPENT: Status.SPENT,
    search.ENDED: Status.ENDED,
    search.EXHAUSTED: Status.EXHAUSTED,
    search.STALLED: Status.STALLED,
    search.REACHED: Status.REACHED,
}

FRONT = 64
"""The most masks of a front."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ELIME(OnSegments, EvolvingMethod):
    """Evolves bits over superpixels; the fitness is the probability of the explained class on the masked image.

    The options of `OnSegments` come first.

    Attributes:
        evaluations: forward passes an image at most, the whole image's included; at least 4.
        population: genomes a generation, at least 2; None takes about 1.5 times the root of `evaluations`.
        generations: at most; None takes twice what fills the evaluations, as repeated genomes cost none.
        objective: "probability" maximises probability minus `area_weight` times area; "pareto" evolves the front of
            probability and area by NSGA-II, and the result is its smallest mask that keeps enough.
        game: "preservation" looks for a mask that keeps the class though all else is removed; "deletion" for one whose
            removal takes the class away: the inverse search, whose probability is that of losing the class.
        area_weight: at least 0; what a mask of all pixels loses against an empty one, for "probability".
        keep: share of the whole image's probability that is enough, above 0 and at most 1, for "pareto"; in the
            deletion game the share to be lost.
        selection: "tournament", or "universal" for stochastic universal sampling by rank.
        tournament_size: individuals a tournament, at least 1.
        pressure: of universal sampling, 1 to 2.
        crossover: "uniform", "one-point" or "two-point".
        flips: genes that mutation flips in a child, on average; above 0.
        survival: "generational" lets `elites` parents survive, "mu+lambda" the best of parents and children.
        elites: parents that may survive, 0 to the population; None keeps a quarter, and all for "pareto".
        patience: generations without gain after which the search ends, at least 1; None for never.
        target_probability: ends the search once a mask reaches it, above 0; None for never.

    References:
        arXiv 2211.15143.
    """

    evaluations: int = 240
    population: int | None = None
    generations: int | None = None
    objective: Literal["probability", "pareto"] = "probability"
    game: Game = "preservation"
    area_weight: float = 0.0
    keep: float = 0.9
    selection: Literal["tournament", "universal"] = "tournament"
    tournament_size: int = 3
    pressure: float = 1.8
    crossover: Literal["uniform", "one-point", "two-point"] = "uniform"
    flips: float = 1.0
    survival: Literal["generational", "mu+lambda"] = "generational"
    elites: int | None = None
    patience: int | None = None
    target_probability: float | None = None

    decode = staticmethod(superpixels.decode)

    def __post_init__(self) -> None:
        OnSegments.__post_init__(self)
        known = self.objective in ("probability", "pareto")
        check_option("objective", known, self.objective, "'probability' or 'pareto'")
        check_option("game", self.game in get_args(Game), self.game, "'preservation' or 'deletion'")
        check_option("keep", 0 < self.keep <= 1, self.keep, "above 0 and at most 1")
        known = self.selection in ("tournament", "universal")
        check_option("selection", known, self.selection, "'tournament' or 'universal'")
        check_option("pressure", 1 <= self.pressure <= 2, self.pressure, "1 to 2")
        known = self.survival in ("generational", "mu+lambda")
        check_option("survival", known, self.survival, "'generational' or 'mu+lambda'")
        check_option("patience", self.patience is None or self.patience >= 1, self.patience, "at least 1")
        target = self.target_probability
        check_option("target_probability", target is None or 0 < target <= 1, target, "above 0 and at most 1")
        check_option("crossover", self.crossover in CROSSOVERS, self.crossover, "one of " + ", ".join(CROSSOVERS))
        check_option("evaluations", self.evaluations >= 4, self.evaluations, "at least 4")
        check_option("population", self.population is None or self.population >= 2, self.population, "at least 2")
        fits = self.population is None or self.population < self.evaluations
        check_option("population", fits, self.population, f"below evaluations ({self.evaluations})")
        check_option("generations", self.generations is None or self.generations >= 1, self.generations, "at least 1")
        check_option("area_weight", self.area_weight >= 0, self.area_weight, "at least 0")
        check_option("tournament_size", self.tournament_size >= 1, self.tournament_size, "at least 1")
        check_option("flips", self.flips > 0, self.flips, "above 0")
        check_option(
            "elites", self.elites is None or 0 <= self.elites <= self.sizes[0], self.elites, "0 to the population"
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """The population and the generations that follow from the evaluations."""
        population = self.population or min(self.evaluations - 1, 2 * max(2, round(0.75 * math.sqrt(self.evaluations))))
        return population, self.generations or 2 * math.ceil((self.evaluations - 1) / population)

    @property
    def settings(self) -> search.Settings:
        """The search that the options describe."""
        population, generations = self.sizes
        all_may_stay = self.survival == "mu+lambda" or (self.objective == "pareto" and self.elites is None)
        common = search.Settings(
            evaluations=self.evaluations,
            population=population,
            generations=generations,
            words=count_words(self.max_segments),
            selection=functools.partial(tournament, size=self.tournament_size)
            if self.selection == "tournament"
            else functools.partial(stochastic_universal_sampling, pressure=self.pressure),
            elites=population if all_may_stay else population // 4 if self.elites is None else self.elites,
            crossover=CROSSOVERS[self.crossover],
            mutation=functools.partial(bit_flip, flips=self.flips),
            fitness=functools.partial(
                _worth, self.game, functools.partial(penalised_probability, area_weight=self.area_weight)
            ),
            patience=self.patience,
            goal=None
            if self.target_probability is None
            else functools.partial(_worth, self.game, functools.partial(is_probable, least=self.target_probability)),
        )
        if self.objective == "probability":
            return common
        return dataclasses.replace(
            common,
            fitness=functools.partial(_worth, self.game, probability_and_area),
            preference=crowded_preference,
            quality=functools.partial(hypervolume, reference=(0.0, -1.0)),
        )

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Evolution:
        """See `EvolvingMethod.begin`."""
        settings = self.settings
        segmented = self.segment(classifier, batch)
        active = batch.active & (segmented.length > 1)

        def init(
            key: jax.Array, length: jax.Array, active: jax.Array, start: jax.Array | None, segments: jax.Array
        ) -> Any:
            genomes = None
            if start is not None:
                count = settings.population // 2 if start.ndim == 2 else settings.population
                genomes = start_genomes(start, segments, count=count, max_segments=self.max_segments)
            return search.init(settings, key, length, active, RESPONSE, start=genomes)

        start = batch.of_rows(batch.start)
        states = jax.vmap(init)(keys, segmented.length, active, start, segmented.segments)
        return Evolution(states=states, scenario=segmented.scenario, merged=segmented.merged)

    def finish(self, evolution: Evolution, batch: Batch) -> Explanation:
        """See `EvolvingMethod.finish`."""
        states = evolution.states
        rows = (states, evolution.scenario.contexts, asked(states, batch), evolution.merged, batch.image_index)
        return jax.lax.map(lambda row: self._result(*row), rows)

    def _result(
        self, state: search.SearchState, segments: jax.Array, targets: Targets, merged: jax.Array, index: jax.Array
    ) -> Explanation:
        archive = state.archive
        seen = in_game(self.game, archive.values)
        evaluated = jnp.arange(self.evaluations) < archive.count
        finite = evaluated & jnp.isfinite(archive.values.log_odds)
        masks = finite.at[0].set(False)  # the whole image is no mask
        works = finite[0] & jnp.any(masks)
        if self.objective == "pareto":
            best, is_kept = pick_smallest(seen, masks, self._enough(archive.values.probability[0]))
            weaker = {Status.NOT_KEPT: works & ~is_kept}
        else:
            fitness = self.settings.fitness(archive.values)
            best = jnp.argmax(jnp.where(masks, fitness, -jnp.inf))
            weaker = {Status.WEAKER: works & (fitness[best] < fitness[0])}

        coefficients, density = contributions(
            archive.genomes, archive.values, finite.astype(jnp.float32), segments, max_segments=self.max_segments
        )
        several = state.length > 1
        genomes = archive.genomes
        if self.game == "deletion":
            genomes = whole(state.length, genomes.shape[1])[None] & ~genomes
        told, picked = (jax.tree.map(lambda leaf: leaf[best], tree) for tree in (archive.values, seen))
        return conclude(
            works,
            jax.tree.map(lambda leaf: leaf[0], archive.values),
            dataclasses.replace(told, area=picked.area),
            mask=superpixels.decode(segments, genomes[best]),
            score=density[segments],
            genome=genomes[best],
            targets=targets,
            image_index=index,
            evaluations=archive.count,
            holds={code: several & (state.ended == ended) for ended, code in _ENDED.items()}
            | {
                Status.ONE_SEGMENT: ~several,
                Status.MERGED: merged,
                Status.NOT_FINITE: evaluated[0] & ~works,
                Status.SOME_NOT_FINITE: works & jnp.any(evaluated & ~finite),
                **weaker,
            },
            cp_score=picked.probability / picked.area,
            segments=segments,
            segment_score=coefficients,
            front=make_front(genomes, seen, masks & works, size=min(FRONT, self.evaluations - 1)),
            generations=jnp.maximum(state.generation - 1, 0),
            history=state.history,
        )

    def _enough(self, original: jax.Array) -> jax.Array:
        """Returns the probability, as the game has it, that is enough where the whole image has `original`."""
        share = jnp.float32(self.keep)
        return share * original if self.game == "preservation" else 1 - (1 - share) * original


def _worth(game: Game, measure: Callable[[Response], jax.Array], response: Response) -> jax.Array:
    return measure(in_game(game, response))
