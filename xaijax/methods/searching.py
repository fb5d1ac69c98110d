"""The base of methods that search: every round proposes masks for all images, evaluates them, and learns from them.

A subclass says for one image how to `propose` and how to `learn`; the loop over rounds is here, in one compiled program
or step by step.
"""

import dataclasses
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import Response, Targets
from xaijax.genetic import search
from xaijax.micro_batches import RESPONSE_READOUT, Readout, Scenario, evaluate
from xaijax.options import Options, option
from xaijax.sequential import map_rows

STATUS_OF = {
    search.SPENT: Status.SPENT,
    search.GENERATION_LIMIT: Status.ENDED,
    search.EXHAUSTED: Status.EXHAUSTED,
    search.STALLED: Status.STALLED,
    search.REACHED: Status.REACHED,
    search.CONVERGED: Status.CONVERGED,
}
"""The status of a result, by the reason why its search ended."""


def statuses_of(
    stop_reason: jax.Array,
    *,
    several: jax.Array,
    merged: jax.Array,
    evaluated: jax.Array,
    finite: jax.Array,
    works: jax.Array,
) -> dict[Status, jax.Array]:
    """Returns which statuses that all searches share hold for one image, `[]` bool each.

    Args:
        stop_reason: `[]` int32, of the search.
        several: `[]` bool, whether the image has several segments.
        merged: `[]` bool, see `Status.MERGED`.
        evaluated: `[E]` bool, the entries of the archive that hold a mask, the whole one first.
        finite: `[E]` bool, those of them whose response is finite.
        works: `[]` bool, whether there is an explanation.
    """
    return {code: several & (stop_reason == ended) for ended, code in STATUS_OF.items()} | {
        Status.ONE_SEGMENT: ~several,
        Status.MERGED: merged,
        Status.NOT_FINITE: evaluated[0] & ~works,
        Status.SOME_NOT_FINITE: works & jnp.any(evaluated & ~finite),
    }


@chex.dataclass(frozen=True)
class Searches:
    """The searches of a batch."""

    states: Any  # [R], the state of each; see `SearchingMethod`
    scenario: Scenario
    merged: jax.Array  # [R] bool, see `Status.MERGED`

    @property
    def is_running(self) -> bool:
        """Whether the search of any image goes on; compared on the host, so that no device waits for the others."""
        return bool(np.any(jax.device_get(self.states.stop_reason) == search.RUNNING))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchingMethod(Options):
    """A method that searches in rounds, called generations.

    Call `begin`, then `advance` (or `ask` and `tell` in turn) until no search is running, then `finish`.

    The state of an image is a pytree with at least the fields `stop_reason` (of `xaijax.genetic.search`), `new` `[P]`
    bool, which of the proposed genomes to evaluate, `archive` (`xaijax.genetic.archive.Archive`, whose first genome is
    the whole mask), `spent`, `generation` and `best`; see `xaijax.genetic.state.SearchState`.

    Attributes:
        evaluations: maximum forward passes per image, including the one on the whole image; at least 4.
    """

    searches_in_generations: ClassVar[bool] = True

    evaluations: int = option(240, at_least=4)

    @property
    def masks_at_a_time(self) -> int:
        """Masks of an image that are evaluated together, at most."""
        return self.evaluations

    def decode(self, context: Any, genome: Any) -> Any:
        """See `xaijax.micro_batches.Decode`."""
        raise NotImplementedError

    def propose(self, state: Any) -> tuple[Any, jax.Array]:
        """Proposes genomes `[P, W]` for one image; those to evaluate are `new` in the state that it returns."""
        raise NotImplementedError

    def learn(self, state: Any, values: Any) -> Any:
        """Takes the values `[P]` of the proposed genomes of one image, read only where the state has them as `new`.

        The state of a search that has ended stays as it is.
        """
        raise NotImplementedError

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Searches:
        """Prepares the searches of a batch without evaluating any mask."""
        raise NotImplementedError

    def finish(self, searches: Searches, batch: Batch) -> Explanation:
        """Returns the explanations that the searches have found; by default `result` of each row."""
        states = searches.states
        rows = (states, searches.scenario.contexts, self.targets(states, batch), searches.merged, batch.image_index)
        return map_rows(lambda row: self.result(*row), rows)

    def result(self, state: Any, context: Any, targets: Targets, merged: jax.Array, index: jax.Array) -> Explanation:
        """Returns the explanation that the search of one row has found.

        Args:
            state: of the search.
            context: of the row, see `Scenario`.
            targets: `[]`, the classes explained.
            merged: `[]` bool, see `Status.MERGED`.
            index: `[]` int32, the image of the row.
        """
        raise NotImplementedError

    def readout(self, classifier: Classifier) -> Readout:
        """Returns which measurements to extract from each forward pass."""
        return RESPONSE_READOUT

    def response(self, values: Any) -> Response:
        """Returns the responses to the masks, given the measurements of `readout`."""
        response: Response = values
        return response

    def scenario_now(self, searches: Searches) -> Scenario:
        """Returns what the masked images of the next generation are made of."""
        return searches.scenario

    def targets(self, states: Any, batch: Batch) -> Targets:
        """Returns the classes `[R]` to explain; the predicted ones are known once the whole images were evaluated."""
        predicted = self.response(states.archive.values).predicted[:, 0]
        return batch.targets.resolved(jnp.where(states.archive.count > 0, predicted, -1))

    def explain(self, keys: jax.Array, classifier: Classifier, batch: Batch, *, micro_batch: int) -> Explanation:
        """Explains a batch; traceable. See `xaijax.explain`, which checks the arguments.

        Args:
            keys: `[R]`, one per row.
            classifier: any.
            batch: what to explain.
            micro_batch: masked images per forward pass.
        """
        searches = self.begin(keys, classifier, batch)
        return self.finish(self.advance(searches, classifier, batch, micro_batch=micro_batch), batch)

    def advance(
        self,
        searches: Searches,
        classifier: Classifier,
        batch: Batch,
        *,
        micro_batch: int,
        generations: int | None = None,
    ) -> Searches:
        """Continues the searches; traceable.

        Args:
            searches: the searches so far.
            classifier: as for `begin`.
            batch: as for `begin`.
            micro_batch: masked images per forward pass.
            generations: maximum generations to run; None runs until every search has ended.
        """
        readout = self.readout(classifier)

        def evaluate_genomes(states: Any, genomes: jax.Array) -> Any:
            scenario = self.scenario_now(dataclasses.replace(searches, states=states))
            targets = self.targets(states, batch)
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

        states = search.run(self.propose, self.learn, searches.states, evaluate_genomes, generations=generations)
        return dataclasses.replace(searches, states=states)

    def ask(self, searches: Searches) -> tuple[Searches, jax.Array]:
        """Proposes genomes `[R, P, W]`, of which `states.new` are to be evaluated; traceable."""
        states, genomes = jax.vmap(self.propose)(searches.states)
        return dataclasses.replace(searches, states=states), genomes

    def tell(self, searches: Searches, values: Any) -> Searches:
        """Takes the values `[R, P]` of the proposed genomes, read only where `states.new`; traceable."""
        return dataclasses.replace(searches, states=jax.vmap(self.learn)(searches.states, values))
