"""What a search is told beforehand, and what it knows so far."""

import dataclasses
from collections.abc import Callable
from typing import Any

import chex
import jax

from xaijax.genetic.archive import Archive
from xaijax.genetic.encoding import BITS, Encoding
from xaijax.genetic.selection import Selection
from xaijax.genetic.survival import Preference, Survival, by_fitness, generational

ENUMERATED = 8  # genomes of at most so many genes are not evolved, where the budget holds all their masks

RUNNING, SPENT, GENERATION_LIMIT, EXHAUSTED, STALLED, REACHED = range(6)  # why a search has ended, if it has

Crossover = Callable[[jax.Array, jax.Array, jax.Array, Any], jax.Array]
Mutation = Callable[[jax.Array, jax.Array, Any], jax.Array]
Guide = Callable[[jax.Array, Archive, Any, jax.Array, Any], jax.Array]
"""`guide(key, archive, space, needed, context) -> genomes [N, W]`: children that follow from all that is known; where
`needed` is False nobody reads them."""

Preselection = Callable[[Archive, jax.Array, jax.Array, Any], jax.Array]
"""`preselection(archive, genomes [N, W], needed, context) -> [N]`: the quality expected of genomes that were not
evaluated, more is better; where `needed` is False nobody reads it."""


def first(fitness: jax.Array) -> jax.Array:
    """The quality of a population with a single objective: the fitness of its best."""
    return fitness[0]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is fixed about a search; hashable.

    Attributes:
        evaluations: the most forward passes an image, the whole mask's included.
        population: genomes a generation.
        generations: the most generations after the whole mask's.
        words: words a genome.
        encoding: what these stand for.
        selection: `select(key, preference[P], count=)` draws parents; see `xaijax.genetic.selection`.
        elites: see `generational`.
        survival: called as `generational` is; its own options bound.
        crossover: see `xaijax.genetic.crossover.uniform`.
        mutation: see `xaijax.genetic.mutation.bit_flip`, its options bound.
        fitness: maps the pytree of `[P]` values that evaluations return to `[P]` float32, higher is better, or to
            `[P, M]` objectives.
        preference: orders individuals by their fitness.
        quality: maps a population's fitness, the preferred individual first, to the number that the history tells.
        patience: generations of children without gain in quality after which the search ends; None for never.
        goal: maps values to `[P]` bool, the individuals that end the search; None for none.
        passes: maps values to `[P]` int32, the forward passes that each genome took; None for one each.
        most_passes: that a genome can take.
        designed: generations whose genomes are drawn beforehand, at least 1; see `Encoding.draw`.
        guide: makes the first children of a generation, as many as it returns; None for none.
        preselection: chooses which of a brood is evaluated; None for the first.
        brood: children that are bred for each one that is evaluated, where there is a `preselection`.
        foldover: whether every other child is the complement of the one before it. A search that looks for small masks
            then still learns what their removal does, and its archive stays a good experiment. For bits alone.
        retries: how often a child that repeats a known genome is mutated again.
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
        """Bits of the longest genome that is not evolved, because all its masks are evaluated."""
        masks = min(self.evaluations - 1, self.population * self.generations)  # beside the whole one
        return min(ENUMERATED, (masks + 2).bit_length() - 1)


@chex.dataclass(frozen=True)
class SearchState:
    """The search of one image after some generations."""

    key: jax.Array
    space: Any  # what the genomes may be, see `Encoding`
    context: Any  # pytree, what decoding or the guide needs to know of the image beside
    drawn: jax.Array  # [D P, W] uint32, the genomes of the designed generations
    population: jax.Array  # [P, W] uint32, the fittest first; before any is evaluated, of no fitness
    fitness: jax.Array  # [P] or [P, M] float32, -inf for what was not evaluated or not finite
    pending: jax.Array  # [P, W] uint32, the genomes that were asked for
    new: jax.Array  # [P] bool, which of them must be evaluated
    parents: jax.Array  # [P] bool, who of the population bred them
    archive: Archive
    spent: jax.Array  # [] int32, forward passes so far
    generation: jax.Array  # [] int32, 0 before the whole mask is known
    entered: jax.Array  # [] int32, generations before the first designed one
    history: jax.Array  # [G] float32, quality of the population after each generation, NaN for those to come
    champions: jax.Array  # [G] int32, the archive's index of the fittest of each population
    best: jax.Array  # [] float32, highest quality so far
    stalled: jax.Array  # [] int32, generations since
    stop_reason: jax.Array  # [] int32, RUNNING or why it ended
