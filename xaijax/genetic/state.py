"""Static settings and dynamic state of a search."""

import dataclasses
from collections.abc import Callable
from typing import Any

import chex
import jax

from xaijax.genetic.archive import Archive
from xaijax.genetic.encoding import BITS, Encoding
from xaijax.genetic.selection import Selection
from xaijax.genetic.survival import Preference, Survival, by_fitness, generational

ENUMERATED = 8  # genes up to which a genome is enumerated, not evolved, where the budget allows all its masks

# Stop reasons; see `SearchState.stop_reason`.
RUNNING, SPENT, GENERATION_LIMIT, EXHAUSTED, STALLED, REACHED, CONVERGED = range(7)

WINDOW = 2
"""Generations of children over which the gain in quality tells whether a search has converged."""

Crossover = Callable[[jax.Array, jax.Array, jax.Array, Any], jax.Array]
Mutation = Callable[[jax.Array, jax.Array, Any], jax.Array]
Guide = Callable[[jax.Array, Archive, Any, jax.Array, Any], jax.Array]
"""`guide(key, archive, space, needed, context) -> genomes [N, W]`: children proposed from the whole archive; not read
where `needed` is False."""

Preselection = Callable[[Archive, jax.Array, jax.Array, Any], jax.Array]
"""`preselection(archive, genomes [N, W], needed, context) -> [N]`: the expected quality of genomes that were not
evaluated, higher is better; not read where `needed` is False."""


def first(fitness: jax.Array) -> jax.Array:
    """The quality of a population with a single objective: the fitness of its best."""
    return fitness[0]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Static settings of a search; hashable.

    Attributes:
        evaluations: maximum number of forward passes per image, the whole mask's included.
        population: genomes per generation.
        generations: maximum number of generations after the whole mask's.
        words: words per genome.
        encoding: what the words encode.
        selection: `select(key, preference[P], count=)` draws parents; see `xaijax.genetic.selection`.
        elites: see `generational`.
        survival: called as `generational` is, its own options bound.
        crossover: see `xaijax.genetic.crossover.uniform`.
        mutation: see `xaijax.genetic.mutation.bit_flip`, its options bound.
        fitness: maps the pytree of `[P]` values that evaluations return to `[P]` float32, higher is better, or to
            `[P, M]` objectives.
        preference: orders individuals by their fitness.
        quality: maps a population's fitness, the preferred individual first, to the number that the history records.
        patience: generations of children without gain in quality after which the search ends; None for no limit.
        least_gain: gain in quality per child over the last `WINDOW` generations, below which the search has converged
            and ends; None for no limit.
        goal: maps values to `[P]` bool, the individuals that end the search; None for none.
        passes: maps values to `[P]` int32, the forward passes that each genome took; None for one each.
        most_passes: maximum number of forward passes that a genome can take.
        designed: generations in the initial design, whose genomes `Encoding.draw` draws beforehand; at least 1.
        guide: makes the first children of a generation, as many as it returns; None for none.
        preselection: ranks the candidates of a brood, of which the best is evaluated; None breeds one candidate only.
        brood: candidates bred for each child that is evaluated, where there is a `preselection`.
        foldover: whether every other child is the complement of the one before it. A search that looks for small masks
            then still measures the effect of removing them, and its archive stays a balanced design. For bits only.
        retries: how many times a child that repeats a known genome is mutated again.
    """

    evaluations: int
    population: int
    generations: int
    words: int
    selection: Selection
    elites: int
    crossover: Crossover
    mutation: Mutation
    fitness: Callable[[Any], jax.Array]
    encoding: Encoding = BITS
    survival: Survival = generational
    preference: Preference = by_fitness
    quality: Callable[[jax.Array], jax.Array] = first
    patience: int | None = None
    least_gain: float | None = None
    goal: Callable[[Any], jax.Array] | None = None
    passes: Callable[[Any], jax.Array] | None = None
    most_passes: int = 1
    designed: int = 1
    guide: Guide | None = None
    preselection: Preselection | None = None
    brood: int = 1
    foldover: bool = False
    retries: int = 3

    @property
    def enumerated(self) -> int:
        """Genes of the longest genome that is enumerated, not evolved: the budget allows all its masks."""
        masks = min(self.evaluations - 1, self.population * self.generations)  # without the whole one
        return min(ENUMERATED, (masks + 2).bit_length() - 1)


@chex.dataclass(frozen=True)
class SearchState:
    """The search of one image after some generations."""

    key: jax.Array
    space: Any  # the search space, see `Encoding`
    context: Any  # pytree, what else decoding and the guide need to know of the image
    drawn: jax.Array  # [D P, W] uint32, the initial design: the genomes of D generations
    population: jax.Array  # [P, W] uint32, the fittest first
    fitness: jax.Array  # [P] or [P, M] float32, -inf for individuals not evaluated or not finite
    pending: jax.Array  # [P, W] uint32, the genomes that `ask` proposed
    new: jax.Array  # [P] bool, which of them must be evaluated
    parents: jax.Array  # [P] bool, which individuals of the population are their parents
    archive: Archive
    spent: jax.Array  # [] int32, forward passes so far
    generation: jax.Array  # [] int32, 0 before the whole mask is known
    entered: jax.Array  # [] int32, generations before the first of the initial design
    history: jax.Array  # [G] float32, quality of the population after each generation, NaN for those to come
    champions: jax.Array  # [G] int32, archive index of the fittest individual of each population
    best: jax.Array  # [] float32, highest quality so far
    stalled: jax.Array  # [] int32, generations since `best` last rose
    stop_reason: jax.Array  # [] int32, RUNNING or why it ended
