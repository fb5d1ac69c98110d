"""A search driven from the host, generation by generation, to report progress or to call a black-box classifier."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.execution import slots
from xaijax.execution.compiled import searches_in_generations
from xaijax.execution.placement import Placement
from xaijax.execution.program_store import call_compiled
from xaijax.explanation import Explanation
from xaijax.fitness import Targets
from xaijax.genetic import search
from xaijax.methods.searching import Searches, SearchingMethod
from xaijax.micro_batches import Readout, Scenario, Views, masked_images, shared_pairs


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a search is, after a generation.

    Attributes:
        running: rows whose search goes on.
        generations: `[R]` int32, of each row.
        evaluations: `[R]` int32, of each row.
        best: `[R]` float32, the quality that the history records; -inf before the first population.
    """

    running: int
    generations: np.ndarray
    evaluations: np.ndarray
    best: np.ndarray


Report = Callable[[Progress], None]


def search_in_steps(
    key: jax.Array,
    words: np.ndarray,
    classifier: Classifier,
    batch: Batch,
    method: object,
    placement: Placement,
    report: Report | None = None,
    *,
    rows: int | None = None,
) -> Explanation:
    """Explains a batch as `method.explain` does, with the loop over generations on the host.

    Args:
        key: of the run.
        words: `[R, N]` uint32, see `image_keys`.
        classifier: any; a black box is called from the host, with at most a micro-batch of masked images.
        batch: what to explain.
        method: a `SearchingMethod`.
        placement: of the work; on one device for a black box.
        report: called after each generation.
        rows: how many of the first rows to report; None for all. The others hold no image.

    Raises:
        ValueError: the method does not search.
    """
    if not searches_in_generations(method):
        raise ValueError(
            f"{type(method).__name__} does not search in generations, so it can neither report them nor ask a black "
            "box; choose ELIME or BinaryMasks."
        )
    searched = call_compiled(slots.begin, (key, words, classifier, batch), (method, placement))
    while searched.searches.is_running:
        if classifier.is_black_box:
            searched, genomes = call_compiled(slots.ask, (searched,), (method, placement))
            values = _evaluate_on_host(classifier, method, searched.searches, genomes, batch, placement.micro_batch)
            searched = call_compiled(slots.tell, (searched, values), (method, placement))
        else:
            searched, _ = call_compiled(slots.advance, (searched, classifier), (method, placement, 1))
        if report is not None:
            states = searched.searches.states
            fetched = jax.device_get((states.stop_reason, states.generation, states.spent, states.best))
            stop_reason, generations, spent, best = (leaf[:rows] for leaf in fetched)
            running = int(np.sum(stop_reason == search.RUNNING))
            report(Progress(running, np.maximum(generations - 1, 0), spent, best))
    finished: Explanation = call_compiled(slots.finish, (searched,), (method, placement))
    return finished


def _evaluate_on_host(
    classifier: Classifier,
    method: SearchingMethod,
    searches: Searches,
    genomes: jax.Array,
    batch: Batch,
    micro_batch: int,
) -> Any:
    """Evaluates the new pairs `[R, P]` of all rows as `evaluate` does, packed into full calls but for the last."""
    new = np.asarray(searches.states.new)
    readout, scenario = method.readout(classifier), method.scenario_now(searches)
    targets = method.targets(searches.states, batch)

    each = len(new) // len(scenario.images)
    shared = np.zeros_like(new)
    if each > 1:
        shared = np.asarray(call_compiled(shared_pairs, (scenario, genomes, searches.states.new), ()))

    def evaluate_pairs(pairs: np.ndarray, view: int) -> Any:
        read = jax.tree.map(lambda value: np.zeros((*new.shape, *value.shape), value.dtype), readout.values)
        row, index = np.nonzero(pairs & ~shared if view == 0 else pairs)
        for first in range(0, len(row), micro_batch):
            rows, indices = row[first : first + micro_batch], index[first : first + micro_batch]
            used, short = len(rows), (0, micro_batch - len(rows))
            padded = np.pad(rows, short, mode="edge")
            chosen = genomes[padded, np.pad(indices, short, mode="edge")]
            masked, areas = call_compiled(_mask, (scenario, padded, chosen), (method, readout, view))
            logits = np.pad(np.asarray(classifier(np.asarray(masked)[:used])), (short, (0, 0)), mode="edge")
            for number in range(each if view == 0 else 1):
                other = np.minimum(rows + number, len(new) - 1)
                asks = (rows % each == 0) & shared[other, indices] if number else np.ones(used, bool)
                if not asks.any():
                    continue
                asking = np.minimum(padded + number, len(new) - 1)
                values = call_compiled(_read, (classifier, logits, scenario, targets, asking, areas), (readout,))
                for mine, theirs in zip(jax.tree.leaves(read), jax.tree.leaves(values), strict=True):
                    mine[other[asks], indices[asks]] = np.asarray(theirs)[:used][asks]
        return read

    values, is_seen = [evaluate_pairs(new, 0)], [new]
    if len(readout.views) == 1:
        return values[0]
    for view in range(1, len(readout.views)):
        follows = readout.follows(values[-1], jnp.full(new.shape, view - 1, jnp.int32))
        is_seen.append(is_seen[-1] & np.asarray(follows))
        values.append(evaluate_pairs(is_seen[-1], view))
    return Views(values=tuple(values), is_seen=tuple(map(jnp.asarray, is_seen)))


def _mask(
    scenario: Scenario,
    rows: jax.Array,
    genomes: jax.Array,
    method: SearchingMethod,
    readout: Readout,
    view: int,
) -> tuple[jax.Array, jax.Array]:
    return masked_images(
        method.decode, scenario.of_rows(rows), genomes, readout.views, jnp.full(rows.shape, view, jnp.int32)
    )


def _read(
    classifier: Classifier,
    logits: jax.Array,
    scenario: Scenario,
    targets: Targets,
    rows: jax.Array,
    areas: jax.Array,
    readout: Readout,
) -> Any:
    requested = jax.tree.map(lambda leaf: leaf[rows], targets)
    return readout.read(classifier, logits, {}, scenario.of_rows(rows), requested, areas)
