"""A search that the host drives: generation by generation, with progress between them, or with a black box to ask."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.batch import Batch, image_keys
from xaijax.classifier import Classifier, to_unit_range
from xaijax.evaluation import BothSides, Readout, Scenario, blend
from xaijax.execution.compiled import searches_in_generations
from xaijax.execution.program_store import call_compiled
from xaijax.explanation import Explanation
from xaijax.fitness import Targets
from xaijax.genetic import search
from xaijax.methods.evolving import Evolution, EvolvingMethod


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a search is, after a generation.

    Attributes:
        running: rows whose search goes on.
        generations: `[R]` int32, of each row.
        evaluations: `[R]` int32, of each row.
        best: `[R]` float32, the quality that the history tells; -inf before the first population.
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
    micro_batch: int,
    report: Report | None = None,
    *,
    rows: int | None = None,
) -> Explanation:
    """Explains a batch as `method.explain` does, with the loop over generations on the host.

    Args:
        key: of the run.
        words: `[R, N]` uint32, see `image_keys`.
        classifier: any; a black box is asked on the host, `micro_batch` masked images at a time.
        batch: what to explain.
        method: an `EvolvingMethod`.
        micro_batch: masked images a forward pass.
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
    evolution = call_compiled(_begin, (key, words, classifier, batch), (method,))
    while bool(evolution.is_running):
        if classifier.is_black_box:
            evolution, genomes = call_compiled(_ask, (evolution,), (method,))
            responses = _ask_black_box(classifier, method, evolution, genomes, batch, micro_batch)
            evolution = call_compiled(_tell, (evolution, responses), (method,))
        else:
            evolution = call_compiled(_advance, (evolution, classifier, batch), (method, micro_batch))
        if report is not None:
            states = evolution.states
            told = jax.device_get((states.stop_reason, states.generation, states.spent, states.best))
            ended, generations, spent, best = (leaf[:rows] for leaf in told)
            running = int(np.sum(ended == search.RUNNING))
            report(Progress(running, np.maximum(generations - 1, 0), spent, best))
    finished: Explanation = call_compiled(_finish, (evolution, batch), (method,))
    return finished


def _begin(key: jax.Array, words: jax.Array, classifier: Classifier, batch: Batch, method: EvolvingMethod) -> Evolution:
    return method.begin(image_keys(key, words), classifier, batch)


def _advance(
    evolution: Evolution, classifier: Classifier, batch: Batch, method: EvolvingMethod, micro_batch: int
) -> Evolution:
    return method.advance(evolution, classifier, batch, micro_batch=micro_batch, generations=1)


def _ask(evolution: Evolution, method: EvolvingMethod) -> tuple[Evolution, jax.Array]:
    return method.ask(evolution)


def _tell(evolution: Evolution, responses: Any, method: EvolvingMethod) -> Evolution:
    return method.tell(evolution, responses)


def _finish(evolution: Evolution, batch: Batch, method: EvolvingMethod) -> Explanation:
    return method.finish(evolution, batch)


def _ask_black_box(
    classifier: Classifier,
    method: EvolvingMethod,
    evolution: Evolution,
    genomes: jax.Array,
    batch: Batch,
    micro_batch: int,
) -> Any:
    """Evaluates the new pairs `[R, P]` of all rows as `evaluate` does, packed into full calls but for the last."""
    new = np.asarray(evolution.states.new)
    readout, scenario = method.readout(classifier), method.scenario_now(evolution)
    targets = method.asked(evolution.states, batch)

    def evaluate_pairs(pairs: np.ndarray, is_inverse: bool) -> Any:
        read = jax.tree.map(lambda value: np.zeros(new.shape, value.dtype), readout.values)
        row, index = np.nonzero(pairs)
        for first in range(0, len(row), micro_batch):
            rows, indices = row[first : first + micro_batch], index[first : first + micro_batch]
            used, short = len(rows), (0, micro_batch - len(rows))
            padded = np.pad(rows, short, mode="edge")
            chosen = genomes[padded, np.pad(indices, short, mode="edge")]
            masked, areas = call_compiled(_mask, (scenario, padded, chosen), (method, is_inverse))
            logits = np.pad(np.asarray(classifier(np.asarray(masked)[:used])), (short, (0, 0)), mode="edge")
            read_off = (classifier, logits, scenario.references, targets, padded, areas)
            told = call_compiled(_read, read_off, (readout,))
            for mine, theirs in zip(jax.tree.leaves(read), jax.tree.leaves(told), strict=True):
                mine[rows, indices] = np.asarray(theirs)[:used]
        return read

    of_mask = evaluate_pairs(new, False)
    if readout.needs_inverse is None:
        return of_mask
    again = new & np.asarray(readout.needs_inverse(of_mask))
    return BothSides(mask=of_mask, inverse=evaluate_pairs(again, True), is_inverted=again)


def _read(
    classifier: Classifier,
    logits: jax.Array,
    references: Any,
    targets: Targets,
    rows: jax.Array,
    areas: jax.Array,
    readout: Readout,
) -> Any:
    references, targets = jax.tree.map(lambda leaf: leaf[rows], (references, targets))
    return readout.read(classifier, logits, {}, references, targets, areas)


def _mask(
    scenario: Scenario, rows: jax.Array, genomes: jax.Array, method: EvolvingMethod, is_inverse: bool
) -> tuple[jax.Array, jax.Array]:
    """Returns masked images `[N, H, W, C]` float32 in [0, 1], and the areas `[N]` that they keep."""
    images, fills, contexts = jax.tree.map(
        lambda leaf: leaf[rows], (scenario.images, scenario.fills, scenario.contexts)
    )
    masks = jax.vmap(method.decode)(contexts, genomes) ^ is_inverse
    return blend(masks[..., None], to_unit_range(images), fills), jnp.mean(masks, axis=(1, 2), dtype=jnp.float32)
