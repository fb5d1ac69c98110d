"""E-LIME: evolves which superpixels to keep so that the classifier still, or more strongly, sees the class."""

import dataclasses
import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier
from xaijax.evaluation import evaluate
from xaijax.explanation import Explanation, Status
from xaijax.fitness import RESPONSE, penalised_probability
from xaijax.genetic import search
from xaijax.genetic.crossover import CROSSOVERS
from xaijax.genetic.genome import count_words, unpack
from xaijax.genetic.mutation import bit_flip
from xaijax.masks import superpixels
from xaijax.methods.on_segments import OnSegments, check_option
from xaijax.methods.surrogate import ridge

_ENDED = {search.SPENT: Status.SPENT, search.ENDED: Status.ENDED, search.EXHAUSTED: Status.EXHAUSTED}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ELIME(OnSegments):
    """Evolves bits over superpixels; the fitness is the probability of the explained class on the masked image.

    The options of `OnSegments` come first.

    Attributes:
        evaluations: forward passes an image at most, the whole image's included; at least 4.
        population: genomes a generation, at least 2; None takes about 1.5 times the root of `evaluations`.
        generations: at most; None takes twice what fills the evaluations, as repeated genomes cost none.
        objective: "probability" maximises probability minus `area_weight` times area.
        area_weight: at least 0; what a mask of all pixels loses against an empty one.
        tournament_size: individuals a tournament, at least 1.
        crossover: "uniform", "one-point" or "two-point".
        flips: genes that mutation flips in a child, on average; above 0.
        elites: parents that may survive, 0 to the population; None keeps a quarter.

    References:
        arXiv 2211.15143.
    """

    evaluations: int = 240
    population: int | None = None
    generations: int | None = None
    objective: Literal["probability"] = "probability"
    area_weight: float = 0.0
    tournament_size: int = 3
    crossover: Literal["uniform", "one-point", "two-point"] = "uniform"
    flips: float = 1.0
    elites: int | None = None

    def __post_init__(self) -> None:
        OnSegments.__post_init__(self)
        check_option("objective", self.objective in ("probability",), self.objective, "'probability'")
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
        return search.Settings(
            evaluations=self.evaluations,
            population=population,
            generations=generations,
            words=count_words(self.max_segments),
            tournament_size=self.tournament_size,
            elites=population // 4 if self.elites is None else self.elites,
            crossover=CROSSOVERS[self.crossover],
            mutation=functools.partial(bit_flip, flips=self.flips),
            fitness=functools.partial(penalised_probability, area_weight=self.area_weight),
        )

    def explain(
        self,
        keys: jax.Array,
        classifier: Classifier,
        images: jax.Array,
        targets: jax.Array,
        labels: jax.Array | None,
        active: jax.Array,
        *,
        micro_batch: int,
    ) -> Explanation:
        """Explains a batch; traceable. See `xaijax.explain`, which checks the arguments.

        Args:
            keys: `[B]`, one an image.
            classifier: any.
            images: `[B, H, W, C]` uint8, or float32 in [0, 1].
            targets: `[B]` int32, the class explained; -1 for the predicted one.
            labels: `[B, H, W]` int32 in [0, H W), a label map an image; None segments on the device.
            active: `[B]` bool, False for places that hold no image.
            micro_batch: masked images a forward pass.
        """
        settings = self.settings
        segmented = self.segment(classifier, images, labels)
        scenario, length = segmented.scenario, segmented.length

        def evaluate_genomes(states: search.SearchState, genomes: jax.Array) -> Any:
            # Until the whole image was seen, the predicted class is not known: it is the archive's first answer.
            predicted = jnp.where(states.archive.count > 0, states.archive.values.predicted[:, 0], -1)
            explained = jnp.where(targets < 0, predicted, targets)
            return evaluate(
                classifier, superpixels.decode, scenario, genomes, states.new, explained, micro_batch=micro_batch
            )

        init = jax.vmap(functools.partial(search.init, settings, values=RESPONSE))
        states = search.run(settings, init(keys, length, active & (length > 1)), evaluate_genomes)
        rows = (states, segmented.segments, targets, segmented.merged, jnp.arange(len(keys), dtype=jnp.int32))
        return jax.lax.map(lambda row: self._result(*row), rows)

    def _result(
        self, state: search.SearchState, segments: jax.Array, target: jax.Array, merged: jax.Array, index: jax.Array
    ) -> Explanation:
        archive = state.archive
        evaluated = jnp.arange(self.evaluations) < archive.count
        finite = evaluated & jnp.isfinite(archive.values.log_odds)
        fitness = jnp.where(finite, self.settings.fitness(archive.values), -jnp.inf)
        whole_fitness = fitness[0]
        best = jnp.argmax(fitness.at[0].set(-jnp.inf))
        works = finite[0] & (jnp.sum(finite) > 1)

        bits = unpack(archive.genomes, self.max_segments)
        coefficients = ridge(bits, archive.values.log_odds, finite.astype(jnp.float32), penalty=1.0)
        coefficients = jnp.where(works, coefficients, 0.0)
        density = superpixels.area_density(coefficients, segments)

        genome = jnp.where(works, archive.genomes[best], jnp.uint32(0))
        mask = superpixels.decode(segments, genome)
        probability = jnp.where(works, archive.values.probability[best], jnp.nan)
        area = jnp.where(works, archive.values.area[best], jnp.nan)
        several = state.length > 1
        holds = {code: several & (state.ended == ended) for ended, code in _ENDED.items()} | {
            Status.ONE_SEGMENT: ~several,
            Status.MERGED: merged,
            Status.NOT_FINITE: evaluated[0] & ~works,
            Status.SOME_NOT_FINITE: works & jnp.any(evaluated & ~finite),
            Status.WEAKER: works & (fitness[best] < whole_fitness),
        }
        return Explanation(
            mask=mask,
            score=density[segments],
            image_index=index,
            target=jnp.where(target < 0, archive.values.predicted[0], target),
            original_probability=jnp.where(works, archive.values.probability[0], jnp.nan),
            probability=probability,
            area=area,
            cp_score=probability / area,
            genome=genome,
            segments=segments,
            segment_score=coefficients,
            evaluations=archive.count,
            generations=jnp.maximum(state.generation - 1, 0),
            status=functools.reduce(jnp.bitwise_or, [jnp.where(holds[code], int(code), 0) for code in holds]),
            history=state.history,
        )
