"""The base of evolving methods: a search over the genomes of a batch, in one compiled loop or step by step."""

import dataclasses
import functools
import math
from typing import Any, ClassVar, Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import Response, Targets
from xaijax.genetic import search
from xaijax.genetic.selection import Selection, stochastic_universal_sampling, tournament
from xaijax.genetic.state import Crossover
from xaijax.genetic.survival import Survival
from xaijax.micro_batches import RESPONSE_READOUT, Readout, Scenario, evaluate
from xaijax.options import Options, check_option, option

STATUS_OF = {
    search.SPENT: Status.SPENT,
    search.GENERATION_LIMIT: Status.ENDED,
    search.EXHAUSTED: Status.EXHAUSTED,
    search.STALLED: Status.STALLED,
    search.REACHED: Status.REACHED,
}
"""The status of a result, by the reason why its search ended."""


@chex.dataclass(frozen=True)
class Evolution:
    """The searches of a batch."""

    states: search.SearchState  # [R]
    scenario: Scenario
    merged: jax.Array  # [R] bool, see `Status.MERGED`

    @property
    def is_running(self) -> bool:
        """Whether the search of any image goes on; compared on the host, so that no device waits for the others."""
        return bool(np.any(jax.device_get(self.states.stop_reason) == search.RUNNING))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvolvingMethod(Options):
    """A method that searches.

    Call `begin`, then `advance` (or `ask` and `tell` in turn) until no search is running, then `finish`.

    Attributes:
        evaluations: maximum forward passes per image, including the one on the whole image; at least 4.
        population: genomes per generation, at least 2; None takes about 1.5 times the square root of `evaluations`.
        generations: maximum generations, at least 1; None takes twice as many as would use up the evaluations, because
            repeated genomes cost none.
        selection: "tournament", "universal" for stochastic universal sampling by rank, or a function like
            `xaijax.genetic.selection.tournament` with its options bound.
        tournament_size: individuals per tournament, at least 1.
        pressure: selection pressure of universal sampling, 1 to 2.
        crossover: "uniform", "one-point", "two-point", or a function like `xaijax.genetic.crossover.uniform` for bits
            and `xaijax.genetic.square_genome.uniform` for squares.
        survival: "generational" lets `elites` parents survive, "mu+lambda" the best of parents and children; or a
            function like `xaijax.genetic.survival.generational`.
        elites: maximum parents that survive, 0 to the population; None keeps a quarter of the population, or all of it
            if there are two objectives.
        patience: generations without improvement after which the search ends, at least 1; None never ends it early.
        target_probability: probability of a mask that ends the search, above 0 and at most 1; None never ends it early.
    """

    searches_in_generations: ClassVar[bool] = True

    evaluations: int = option(240, at_least=4)
    population: int | None = option(None, at_least=2)
    generations: int | None = option(None, at_least=1)
    selection: Literal["tournament", "universal"] | Selection = option(
        "tournament", need="one of tournament, universal"
    )
    tournament_size: int = option(3, at_least=1)
    pressure: float = option(1.8, at_least=1, at_most=2)
    crossover: Literal["uniform", "one-point", "two-point"] | Crossover = option(
        "uniform", need="one of uniform, one-point, two-point"
    )
    survival: Literal["generational", "mu+lambda"] | Survival = option(
        "generational", need="one of generational, mu+lambda"
    )
    elites: int | None = None
    patience: int | None = option(None, at_least=1)
    target_probability: float | None = option(None, above=0, at_most=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.population is None or self.population < self.evaluations
        check_option("population", fits, self.population, f"below evaluations ({self.evaluations})")
        fits = self.elites is None or 0 <= self.elites <= self.sizes[0]
        check_option("elites", fits, self.elites, "0 to the population")

    @property
    def sizes(self) -> tuple[int, int]:
        """The population and the maximum number of generations, which follow from the evaluations unless given."""
        population = self.population or min(self.evaluations - 1, 2 * max(2, round(0.75 * math.sqrt(self.evaluations))))
        return population, self.generations or 2 * math.ceil((self.evaluations - 1) / population)

    def describe(self, **own: Any) -> search.Settings:
        """Returns the settings of the search that these options describe; `own` are the settings that a method adds."""
        population, generations = self.sizes
        if callable(self.survival):
            own["survival"] = self.survival
        selection: Any = self.selection
        if selection == "tournament":
            selection = functools.partial(tournament, size=self.tournament_size)
        elif selection == "universal":
            selection = functools.partial(stochastic_universal_sampling, pressure=self.pressure)
        elites = population if self.survival == "mu+lambda" else population // 4
        return search.Settings(
            evaluations=self.evaluations,
            population=population,
            generations=generations,
            selection=selection,
            elites=elites if self.elites is None or self.survival == "mu+lambda" else self.elites,
            patience=self.patience,
            **own,
        )

    @property
    def settings(self) -> search.Settings:
        """The settings of the method's search."""
        raise NotImplementedError

    def decode(self, context: Any, genome: Any) -> jax.Array:
        """See `xaijax.micro_batches.Decode`."""
        raise NotImplementedError

    def readout(self, classifier: Classifier) -> Readout:
        """Returns which measurements to extract from each forward pass."""
        return RESPONSE_READOUT

    def response(self, values: Any) -> Response:
        """Returns the responses to the masks, given the measurements of `readout`."""
        told: Response = values
        return told

    def scenario_now(self, evolution: Evolution) -> Scenario:
        """Returns what the masked images of the next generation are made of."""
        return evolution.scenario

    def proceed(self, state: search.SearchState) -> search.SearchState:
        """Follows up on a generation of one image; a method with several stages enters the next one here."""
        return state

    def asked(self, states: search.SearchState, batch: Batch) -> Targets:
        """Returns the classes `[R]` to explain; the predicted ones are known once the whole images were evaluated."""
        predicted = self.response(states.archive.values).predicted[:, 0]
        return batch.targets.resolved(jnp.where(states.archive.count > 0, predicted, -1))

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Evolution:
        """Prepares the searches of a batch without evaluating any mask."""
        raise NotImplementedError

    def finish(self, evolution: Evolution, batch: Batch) -> Explanation:
        """Returns the explanations that the searches have found."""
        raise NotImplementedError

    def explain(self, keys: jax.Array, classifier: Classifier, batch: Batch, *, micro_batch: int) -> Explanation:
        """Explains a batch; traceable. See `xaijax.explain`, which checks the arguments.

        Args:
            keys: `[R]`, one per row.
            classifier: any.
            batch: what to explain.
            micro_batch: masked images per forward pass.
        """
        evolution = self.begin(keys, classifier, batch)
        return self.finish(self.advance(evolution, classifier, batch, micro_batch=micro_batch), batch)

    def advance(
        self,
        evolution: Evolution,
        classifier: Classifier,
        batch: Batch,
        *,
        micro_batch: int,
        generations: int | None = None,
    ) -> Evolution:
        """Continues the searches; traceable.

        Args:
            evolution: the searches so far.
            classifier: as for `begin`.
            batch: as for `begin`.
            micro_batch: masked images per forward pass.
            generations: maximum generations to run; None runs until every search has ended.
        """
        readout = self.readout(classifier)

        def evaluate_genomes(states: search.SearchState, genomes: jax.Array) -> Any:
            scenario = self.scenario_now(dataclasses.replace(evolution, states=states))
            targets = self.asked(states, batch)
            return evaluate(
                classifier,
                self.decode,
                scenario,
                genomes,
                states.new,
                targets,
                micro_batch=micro_batch,
                readout=readout,
            )

        states = search.run(
            self.settings, evolution.states, evaluate_genomes, generations=generations, then=self.proceed
        )
        return dataclasses.replace(evolution, states=states)

    def ask(self, evolution: Evolution) -> tuple[Evolution, jax.Array]:
        """Proposes genomes `[R, P, W]`, of which `states.new` are to be evaluated; traceable."""
        states, genomes = jax.vmap(functools.partial(search.ask, self.settings))(evolution.states)
        return dataclasses.replace(evolution, states=states), genomes

    def tell(self, evolution: Evolution, responses: Any) -> Evolution:
        """Takes the responses `[R, P]` to the proposed genomes, read only where `states.new`; traceable."""
        states = jax.vmap(functools.partial(search.tell, self.settings))(evolution.states, responses)
        return dataclasses.replace(evolution, states=jax.vmap(self.proceed)(states))
