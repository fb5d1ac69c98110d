"""The base of evolving methods: a search whose rounds are the generations of a genetic algorithm."""

import dataclasses
import functools
import math
from typing import Any, Literal

import jax

from xaijax.genetic import search
from xaijax.genetic.selection import Selection, stochastic_universal_sampling, tournament
from xaijax.genetic.state import Crossover
from xaijax.genetic.survival import Survival
from xaijax.methods.searching import SearchingMethod
from xaijax.options import check_option, option

LEAST_GAIN = 0.0008
"""Gain in hypervolume, of 1, that a child adds at least on average while a search has not converged."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvolvingMethod(SearchingMethod):
    """A method that evolves genomes. It also has the options of `SearchingMethod`.

    Attributes:
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
        stop: "spent" searches until the evaluations are spent; "converged" ends before, where the last two generations
            raised the quality of the population (of a front, its hypervolume) by less than `LEAST_GAIN` per child.
        patience: generations without improvement after which the search ends, at least 1; None never ends it early.
        target_probability: probability of a mask that ends the search, above 0 and at most 1; None never ends it early.
    """

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
    stop: Literal["spent", "converged"] = option("spent", need="'spent' or 'converged'")
    patience: int | None = option(None, at_least=1)
    target_probability: float | None = option(None, above=0, at_most=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.population is None or self.population < self.evaluations
        check_option("population", fits, self.population, f"below evaluations ({self.evaluations})")
        fits = self.elites is None or 0 <= self.elites <= self.sizes[0]
        check_option("elites", fits, self.elites, "0 to the population")
        if self.selection != "tournament":
            self.refuse_ignored(("tournament_size",), f"selection is {self.selection!r}")
        if self.selection != "universal":
            self.refuse_ignored(("pressure",), f"selection is {self.selection!r}")
        if self.survival == "mu+lambda":
            self.refuse_ignored(("elites",), "survival 'mu+lambda' keeps the best of parents and children")

    @property
    def sizes(self) -> tuple[int, int]:
        """The population and the maximum number of generations, which follow from the evaluations unless given."""
        population = self.population or min(self.evaluations - 1, 2 * max(2, round(0.75 * math.sqrt(self.evaluations))))
        return population, self.generations or 2 * math.ceil((self.evaluations - 1) / population)

    @property
    def masks_at_a_time(self) -> int:
        """A generation; see `SearchingMethod.masks_at_a_time`."""
        return self.sizes[0]

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
            least_gain=LEAST_GAIN if self.stop == "converged" else None,
            **own,
        )

    @property
    def settings(self) -> search.Settings:
        """The settings of the method's search."""
        raise NotImplementedError

    def proceed(self, state: search.SearchState) -> search.SearchState:
        """Follows up on a generation of one image; a method with several stages enters the next one here."""
        return state

    def propose(self, state: search.SearchState) -> tuple[search.SearchState, jax.Array]:
        """See `SearchingMethod.propose`."""
        return search.ask(self.settings, state)

    def learn(self, state: search.SearchState, values: Any) -> search.SearchState:
        """See `SearchingMethod.learn`."""
        return self.proceed(search.tell(self.settings, state, values))
