"""Quality against evaluations: every method at every budget, on the same images, segments and fill.

    python -m benchmarks.quality.budget_curve IMAGES... --weights FILE
    python -m benchmarks.quality.budget_curve IMAGES... --weights FILE --count 100 --methods elime lime

Each row that is measured goes to a journal at once, so that the same command goes on where it was stopped. On CPU two
processes of one core each (`taskset -c 0`, `-c 1`), each with half of the `--methods`, write to one journal and take
two thirds of the time; the command with all methods then writes the report.

A sampling method whose first samples do not depend on their number is sampled once, at the largest budget, and its
score map is fitted to the first samples of each budget. Insertion and deletion are RISE's; the area is the first
fraction of the insertion curve at which 0.9 of the original probability is reached.
"""

import dataclasses
import functools
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import PhotographOptions, choose_photographs, read_photographs
from benchmarks.common.record import RESULTS, plain_options
from benchmarks.reports.budget_report import write_report
from xaijax.arguments import split_id
from xaijax.batch import Batch, image_keys
from xaijax.fitness import Targets
from xaijax.methods.attribution.base import attribute
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.registry import METHODS
from xaijax.metrics import area_under_curve, deletion_curve, insertion_curve, smallest_area
from xaijax.micro_batches import micro_batch_size

NESTED = (("lime",), ("kernel-shap",), ("rise",), ("designed-masks", "random-search"))
"""Methods whose first samples do not depend on how many there are, those together that draw and fit alike."""

FIXED = ("grad-cam",)
"""Methods whose cost does not follow from a budget."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Measures quality against evaluations.

    Attributes:
        budgets: evaluations an image.
        methods: names as on the command line; by default all but binary-masks, which has a benchmark of its own.
        steps: of the insertion and the deletion curve.
        name: of the journal and the report in `benchmarks/results`; None is `budget_curve_MODEL`.
    """

    budgets: tuple[int, ...] = (60, 120, 250, 500, 1000, 2000)
    methods: tuple[str, ...] = tuple(name for name in METHODS if name != "binary-masks")
    steps: int = 32
    name: str | None = None

    @property
    def stem(self) -> str:
        """Name of what is written."""
        return self.name or f"budget_curve_{self.model}"


def make(name: str, budget: int, options: Options) -> Any:
    """Builds a method for a budget, with the segments and the fill that all share."""
    method = METHODS[name]
    shared = {"evaluations": budget, "segmentation": options.segmentation, "fill": options.fill}
    if name == "designed-masks":
        shared["prefixes"] = min(20, budget // 6)
    names = {field.name for field in dataclasses.fields(method)}
    return method(**{key: value for key, value in shared.items() if key in names})


def fitted_to_the_first(plan: Plan, counts: tuple[int, ...]) -> Plan:
    """Returns a plan whose score is `[len(counts), H, W]`: a map fitted to the first samples, for each count."""

    def fit(context: Any, samples: Samples) -> Attribution:
        def first(count: jax.Array) -> Attribution:
            used = (jnp.arange(len(samples.weight)) < count).astype(jnp.float32)
            return plan.fit(context, dataclasses.replace(samples, weight=samples.weight * used))

        found = jax.lax.map(first, jnp.asarray(counts, jnp.int32))
        last = jax.tree.map(lambda leaf: leaf[-1], found)
        return dataclasses.replace(last, score=found.score)

    return dataclasses.replace(plan, fit=fit)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def scores_at_all_budgets(
    methods: tuple[Any, ...], micro_batch: int, seed: int, classifier: xaijax.Classifier, images: Any, halves: Any
) -> Any:
    """Explains a batch by nested methods, for each budget; the last of `methods` samples most."""
    keys, active = image_keys(jax.random.key(seed), halves), jnp.ones((len(images),), jnp.bool_)
    batch = Batch(images=images, targets=Targets.of(jnp.full((len(images),), -1, jnp.int32)), active=active)
    plans = [method.plan(keys, classifier, batch) for method in methods]
    counts = tuple(jax.tree.leaves(plan.genomes)[0].shape[1] for plan in plans)
    return attribute(fitted_to_the_first(plans[-1], counts), classifier, batch.targets, micro_batch=micro_batch)


def score_maps(
    names: tuple[str, ...], classifier: xaijax.Classifier, images: np.ndarray, options: Options
) -> Iterator[tuple[str, int, Any, np.ndarray, float]]:
    """Yields `(method, budget, explanation, scores [B, H, W], seconds)` for the budgets of methods that go together."""
    start = time.perf_counter()
    if any(names[0] in group for group in NESTED):
        asked = [(name, budget) for name in names for budget in options.budgets]
        methods = tuple(make(name, budget, options) for name, budget in asked)
        micro_batch = micro_batch_size(images.shape[1:], jax.default_backend())
        halves = np.array([split_id(xaijax.image_id(image)) for image in images], np.uint32)
        result = jax.device_get(scores_at_all_budgets(methods, micro_batch, options.seed, classifier, images, halves))
        seconds = time.perf_counter() - start
        for place, (name, budget) in enumerate(asked):
            spent = np.full((len(images),), budget)
            yield name, budget, dataclasses.replace(result, evaluations=spent), result.score[:, place], seconds
        return
    (name,) = names
    for budget in options.budgets[:1] if name in FIXED else options.budgets:
        start = time.perf_counter()
        method = make(name, budget, options)
        result = jax.device_get(xaijax.explain(jax.random.key(options.seed), classifier, images, method=method))
        yield name, budget, result, result.score, time.perf_counter() - start


def groups(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Returns the methods in order, those together that share their samples."""
    found = []
    for name in names:
        group = next((group for group in NESTED if name in group), (name,))
        together = tuple(member for member in group if member in names)
        if together not in found:
            found.append(together)
    return found


def measure(classifier: xaijax.Classifier, images: np.ndarray, result: Any, scores: np.ndarray, steps: int) -> Any:
    """Returns the metrics of a batch of score maps, `[B]` each."""
    inserted = insertion_curve(classifier, images, scores, result.target, steps=steps)
    deleted = deletion_curve(classifier, images, scores, result.target, steps=steps)
    return {
        "insertion": area_under_curve(inserted.fractions, inserted.probability),
        "deletion": area_under_curve(deleted.fractions, deleted.probability),
        "area": smallest_area(inserted.probability, inserted.fractions, result.original_probability),
    }


def main(options: Options) -> None:
    classifier = xaijax.models.load(options.model, options.weights)
    paths = choose_photographs(options.images, options.count)
    RESULTS.mkdir(exist_ok=True)
    journal = RESULTS / f"{options.stem}.jsonl"
    rows = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    for names in groups(options.methods):
        for start in range(0, len(paths), options.batch):
            batch = paths[start : start + options.batch]
            budgets = options.budgets[: 1 if names[0] in FIXED else None]
            wanted = set(itertools.product(names, budgets, [path.name for path in batch]))
            known = {(row["method"], row["budget"], row["image"]) for row in rows}
            if wanted <= known:
                continue
            images = read_photographs(batch, classifier)
            for name, budget, result, scores, seconds in score_maps(names, classifier, images, options):
                metrics = measure(classifier, images, result, scores, options.steps)
                fresh = [
                    {"method": name, "budget": budget, "image": path.name}
                    | {"evaluations": int(result.evaluations[place]), "batch_seconds": round(seconds, 2)}
                    | {metric: round(float(values[place]), 6) for metric, values in metrics.items()}
                    for place, path in enumerate(batch)
                    if (name, budget, path.name) not in known  # a budget that was added measures its neighbours again
                ]
                rows += fresh
                with journal.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in fresh)
                print(f"{name} {budget}: {start + len(batch)} of {len(paths)} images, {seconds:.0f} s", flush=True)
    write_report(options.stem, rows, settings=plain_options(options))


if __name__ == "__main__":
    main(tyro.cli(Options))
