"""E-LIME: evolves which superpixels to keep so that the classifier still, or more strongly, sees the class."""

import dataclasses
import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier, to_unit_range
from xaijax.evaluation import Scenario, evaluate
from xaijax.explanation import Explanation, Status
from xaijax.fitness import RESPONSE, penalised_probability
from xaijax.genetic import search
from xaijax.genetic.crossover import CROSSOVERS
from xaijax.genetic.genome import count_words, unpack
from xaijax.genetic.mutation import bit_flip
from xaijax.masks import superpixels
from xaijax.masks.fills import Fill, check_fill, make_fill
from xaijax.masks.segmentation import Segmentation, make_segmentation
from xaijax.methods.surrogate import ridge

_ENDED = {search.SPENT: Status.SPENT, search.ENDED: Status.ENDED, search.EXHAUSTED: Status.EXHAUSTED}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ELIME:
    """Evolves bits over superpixels; the fitness is the probability of the explained class on the masked image.

    Attributes:
        evaluations: forward passes an image at most, the whole image's included; at least 4.
        population: genomes a generation, at least 2; None takes about 1.5 times the root of `evaluations`.
        generations: at most; None takes twice what fills the evaluations, as repeated genomes cost none.
        segmentation: `Grid`, `SLIC`, or the shorthand "grid" or "slic"; not read where `explain` is given segments.
        max_segments: segments that a genome has room for, at least 2; a finer map is merged (`Status.MERGED`).
        fill: what stands where the mask is 0: black, dataset-mean, image-mean, segment-mean, blur, or "#rrggbb".
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
    segmentation: Segmentation | Literal["grid", "slic"] = "slic"
    max_segments: int = 128
    fill: Fill = "blur"
    objective: Literal["probability"] = "probability"
    area_weight: float = 0.0
    tournament_size: int = 3
    crossover: Literal["uniform", "one-point", "two-point"] = "uniform"
    flips: float = 1.0
    elites: int | None = None

    def __post_init__(self) -> None:
        check_fill(self.fill)
        make_segmentation(self.segmentation)
        _check("objective", self.objective in ("probability",), self.objective, "'probability'")
        _check("crossover", self.crossover in CROSSOVERS, self.crossover, "one of " + ", ".join(CROSSOVERS))
        _check("evaluations", self.evaluations >= 4, self.evaluations, "at least 4")
        _check("population", self.population is None or self.population >= 2, self.population, "at least 2")
        fits = self.population is None or self.population < self.evaluations
        _check("population", fits, self.population, f"below evaluations ({self.evaluations})")
        _check("generations", self.generations is None or self.generations >= 1, self.generations, "at least 1")
        _check("max_segments", self.max_segments >= 2, self.max_segments, "at least 2")
        _check("area_weight", self.area_weight >= 0, self.area_weight, "at least 0")
        _check("tournament_size", self.tournament_size >= 1, self.tournament_size, "at least 1")
        _check("flips", self.flips > 0, self.flips, "above 0")
        _check("elites", self.elites is None or 0 <= self.elites <= self.sizes[0], self.elites, "0 to the population")

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
        # What surrounds the search goes image by image: XLA chooses its matrix kernels by size, and the last bits of an
        # image's segments, fill and scores must not depend on how many others there are.
        with jax.named_scope("segment"):
            segments, length, merged = jax.lax.map(lambda pair: self._segments(*pair), (images, labels))
        with jax.named_scope("fill"):
            fill = functools.partial(make_fill, self.fill, max_segments=self.max_segments, mean=classifier.mean)
            fills = jax.lax.map(lambda pair: fill(to_unit_range(pair[0]), pair[1]), (images, segments))
        scenario = Scenario(images=images, fills=fills, contexts=segments)

        def evaluate_genomes(states: search.SearchState, genomes: jax.Array) -> Any:
            # Until the whole image was seen, the predicted class is not known: it is the archive's first answer.
            predicted = jnp.where(states.archive.count > 0, states.archive.values.predicted[:, 0], -1)
            explained = jnp.where(targets < 0, predicted, targets)
            return evaluate(
                classifier, superpixels.decode, scenario, genomes, states.new, explained, micro_batch=micro_batch
            )

        init = jax.vmap(functools.partial(search.init, settings, values=RESPONSE))
        states = search.run(settings, init(keys, length, active & (length > 1)), evaluate_genomes)
        rows = (states, segments, targets, merged, jnp.arange(len(keys), dtype=jnp.int32))
        return jax.lax.map(lambda row: self._result(*row), rows)

    def _segments(self, image: jax.Array, labels: jax.Array | None) -> tuple[jax.Array, jax.Array, jax.Array]:
        height, width = image.shape[:2]
        bound = height * width
        if labels is None:
            segmentation = make_segmentation(self.segmentation)
            labels, bound = segmentation(to_unit_range(image)), segmentation.label_bound(height, width)
        return superpixels.limit_segments(labels, max_segments=self.max_segments, bound=bound)

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
        sizes = superpixels.segment_sizes(segments, max_segments=self.max_segments)
        coefficients = jnp.where(works, coefficients, 0.0)
        # A pixel's share falls with its segment's extent; the root keeps large segments from vanishing.
        typical = jnp.float32(segments.size) / state.length.astype(jnp.float32)
        density = coefficients * jnp.sqrt(typical / jnp.maximum(sizes, 1))

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


def _check(name: str, holds: bool, value: object, need: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value!r} but must be {need}.")
