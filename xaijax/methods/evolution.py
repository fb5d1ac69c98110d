"""What evolving methods share: a search over the genomes of a batch, in one compiled loop or step by step."""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier
from xaijax.evaluation import Decode, Scenario, evaluate
from xaijax.explanation import Explanation
from xaijax.fitness import Response, Targets
from xaijax.genetic import search
from xaijax.methods.batch import Batch


@chex.dataclass(frozen=True)
class Evolution:
    """A batch that is being searched."""

    states: search.SearchState  # [B]
    scenario: Scenario
    merged: jax.Array  # [B] bool, see `Status.MERGED`

    @property
    def is_running(self) -> jax.Array:
        """Whether the search of any image goes on, `[]` bool."""
        return jnp.any(self.states.ended == search.RUNNING)


class EvolvingMethod:
    """A method that searches: `begin`, `advance` (or `ask` and `tell` in turn) until nothing is running, `finish`."""

    decode: Decode

    @property
    def settings(self) -> search.Settings:
        """The search that the options describe."""
        raise NotImplementedError

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Evolution:
        """Prepares the searches of a batch; nothing is evaluated yet."""
        raise NotImplementedError

    def finish(self, evolution: Evolution, batch: Batch) -> Explanation:
        """Makes the result of what was found."""
        raise NotImplementedError

    def explain(self, keys: jax.Array, classifier: Classifier, batch: Batch, *, micro_batch: int) -> Explanation:
        """Explains a batch; traceable. See `xaijax.explain`, which checks the arguments.

        Args:
            keys: `[B]`, one an image.
            classifier: any.
            batch: what to explain.
            micro_batch: masked images a forward pass.
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
        """Searches on; traceable.

        Args:
            evolution: so far.
            classifier: as for `begin`.
            batch: as for `begin`.
            micro_batch: masked images a forward pass.
            generations: how many at most; None for until each search has ended.
        """

        def evaluate_genomes(states: search.SearchState, genomes: jax.Array) -> Any:
            targets = asked(states, batch)
            return evaluate(
                classifier, self.decode, evolution.scenario, genomes, states.new, targets, micro_batch=micro_batch
            )

        states = search.run(self.settings, evolution.states, evaluate_genomes, generations=generations)
        return dataclasses.replace(evolution, states=states)

    def ask(self, evolution: Evolution) -> tuple[Evolution, jax.Array]:
        """Proposes genomes `[B, P, W]`, of which `states.new` are to be evaluated; traceable."""
        states, genomes = jax.vmap(functools.partial(search.ask, self.settings))(evolution.states)
        return dataclasses.replace(evolution, states=states), genomes

    def tell(self, evolution: Evolution, answers: Response) -> Evolution:
        """Learns the answers `[B, P]` to what was asked, read only where `states.new`; traceable."""
        states = jax.vmap(functools.partial(search.tell, self.settings))(evolution.states, answers)
        return dataclasses.replace(evolution, states=states)


def asked(states: search.SearchState, batch: Batch) -> Targets:
    """Returns the classes `[R]` asked about; the whole image, which is seen first, tells which is the predicted one."""
    predicted = jnp.where(states.archive.count > 0, states.archive.values.predicted[:, 0], -1)
    return batch.targets.resolved(predicted)
