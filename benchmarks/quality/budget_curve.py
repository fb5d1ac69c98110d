"""Quality against evaluations: every method at every budget, searched with some fills and judged under others.

    python -m benchmarks.quality.budget_curve IMAGES... --weights FILE --count 100
    python -m benchmarks.quality.budget_curve IMAGES... --weights FILE --fills blur --methods elime lime

Images, segments and the fill of the search are the same for all methods; score maps and masks are judged under every
fill of `--judged-by`. Each row that is measured goes to a journal at once, so that the same command goes on where it
was stopped. On CPU two processes of one core each (`taskset -c 0`, `-c 1`), each with half of the `--methods`, write to
one journal and take two thirds of the time; the command with all methods then writes the report.

A sampling method whose first samples do not depend on their number is sampled once, at the largest budget, and its
score map is fitted to the first samples of each budget; its mask is that of the largest. "elsewhere" shows the same
place in the photograph that follows in the folder.
"""

import dataclasses
import functools
import itertools
import json
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import xaijax
from benchmarks.common.photographs import PhotographOptions, choose_photographs, followers, read_photographs
from benchmarks.common.record import RESULTS, plain_options
from benchmarks.reports.budget_report import write_report
from xaijax.arguments import split_id
from xaijax.batch import Batch, image_keys
from xaijax.fitness import Targets
from xaijax.methods.attribution.base import attribute
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.registry import METHODS
from xaijax.metrics import JUDGING_FILLS, judge, judging_fills
from xaijax.micro_batches import micro_batch_size

NESTED = (("lime",), ("kernel-shap",), ("rise",), ("designed-masks", "random-search"))
"""Methods whose first samples do not depend on how many there are, those together that draw and fit alike."""

FIXED = ("grad-cam",)
"""Methods whose cost does not follow from a budget."""

VARIANTS = {
    "greedy-one-sided": ("greedy", {"two_sided": False}),
    "elime-converged": ("elime", {"stop": "converged"}),
}
"""Methods with other options than their defaults, by the name that they have here."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(PhotographOptions):
    """Measures quality against evaluations.

    Attributes:
        budgets: evaluations an image.
        methods: names as on the command line; by default all but binary-masks, which has a benchmark of its own.
        fills: of the searches; `fill` is not read.
        judged_by: fills that score maps and masks are judged under.
        steps: of the insertion and the deletion curve.
        name: of the journal and the report in `benchmarks/results`; None is `budget_curve_MODEL`.
    """

    budgets: tuple[int, ...] = (60, 120, 250, 500, 1000)
    methods: tuple[str, ...] = tuple(name for name in METHODS if name != "binary-masks")
    fills: tuple[str, ...] = ("black", "blur")
    judged_by: tuple[str, ...] = JUDGING_FILLS
    steps: int = 16
    name: str | None = None

    @property
    def stem(self) -> str:
        """Name of what is written."""
        return self.name or f"budget_curve_{self.model}"


def make(name: str, budget: int, fill: str, options: Options) -> Any:
    """Builds a method for a budget, with the segments and the fill that all share."""
    name, own = VARIANTS.get(name, (name, {}))
    method = METHODS[name]
    shared = {"evaluations": budget, "segmentation": options.segmentation, "fill": fill}
    if name == "designed-masks":
        shared["prefixes"] = min(20, budget // 6)
    names = {field.name for field in dataclasses.fields(method)}
    return method(**{key: value for key, value in shared.items() if key in names}, **own)


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


@dataclasses.dataclass(frozen=True)
class Found:
    """What a method found in a batch at a budget: scores `[B, H, W]`, masks alike or None, classes and costs `[B]`."""

    method: str
    budget: int
    scores: np.ndarray
    masks: np.ndarray | None
    targets: np.ndarray
    evaluations: np.ndarray


def explain_at_all_budgets(
    names: tuple[str, ...], fill: str, classifier: xaijax.Classifier, images: np.ndarray, options: Options
) -> Iterator[Found]:
    """Yields what methods that go together find, budget by budget."""
    if any(names[0] in group for group in NESTED):
        asked = [(name, budget) for name in names for budget in options.budgets]
        methods = tuple(make(name, budget, fill, options) for name, budget in asked)
        micro_batch = micro_batch_size(images.shape[1:], jax.default_backend())
        halves = np.array([split_id(xaijax.image_id(image)) for image in images], np.uint32)
        result = jax.device_get(scores_at_all_budgets(methods, micro_batch, options.seed, classifier, images, halves))
        for place, (name, budget) in enumerate(asked):
            masks = result.mask if place == len(asked) - 1 else None
            spent = np.full((len(images),), budget)
            yield Found(name, budget, result.score[:, place], masks, result.target, spent)
        return
    (name,) = names
    for budget in options.budgets[:1] if name in FIXED else options.budgets:
        method = make(name, budget, fill, options)
        result = jax.device_get(xaijax.explain(jax.random.key(options.seed), classifier, images, method=method))
        yield Found(name, budget, result.score, result.mask, result.target, result.evaluations)


def groups(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Returns the methods in order, those together that share their samples."""
    found = []
    for name in names:
        group = next((group for group in NESTED if name in group), (name,))
        together = tuple(member for member in group if member in names)
        if together not in found:
            found.append(together)
    return found


def measure(
    classifier: xaijax.Classifier, images: np.ndarray, others: np.ndarray, found: Found, options: Options
) -> list[dict[str, Any]]:
    """Returns what is written of each image of a batch: its figures under every judging fill."""
    count = len(images)
    masks = np.zeros(images.shape[:3], bool) if found.masks is None else found.masks
    rows: list[dict[str, Any]] = [{"evaluations": int(found.evaluations[place])} for place in range(count)]
    for name in options.judged_by:
        fills = judging_fills(name, images, mean=classifier.mean, elsewhere=others)
        judged = judge(classifier, images, found.scores, masks, found.targets, fills=fills, steps=options.steps)
        figures = {"insertion": judged.insertion, "deletion": judged.deletion, "area": judged.smallest_area}
        if found.masks is not None:
            figures["masked"] = judged.masked
        for place, row in enumerate(rows):
            row["original"] = round(float(judged.original[place]), 6)
            row[name] = {metric: round(float(values[place]), 5) for metric, values in figures.items()}
            if found.masks is not None:
                row["mask_area"] = round(float(masks[place].mean()), 5)
    return rows


def main(options: Options) -> None:
    classifier = xaijax.models.load(options.model, options.weights)
    paths = choose_photographs(options.images, options.count)
    RESULTS.mkdir(exist_ok=True)
    journal = RESULTS / f"{options.stem}.jsonl"
    rows = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    follower = followers(options.images)
    for fill, names in itertools.product(options.fills, groups(options.methods)):
        for start in range(0, len(paths), options.batch):
            batch = paths[start : start + options.batch]
            budgets = options.budgets[: 1 if names[0] in FIXED else None]
            wanted = set(itertools.product(names, [fill], budgets, [path.name for path in batch]))
            known = {(row["method"], row["fill"], row["budget"], row["image"]) for row in rows}
            if wanted <= known:
                continue
            images = read_photographs(batch, classifier)
            others = read_photographs([follower[path] for path in batch], classifier)
            for found in explain_at_all_budgets(names, fill, classifier, images, options):
                measured = measure(classifier, images, others, found, options)
                fresh = [
                    {"method": found.method, "fill": fill, "budget": found.budget, "image": path.name, **row}
                    for path, row in zip(batch, measured, strict=True)
                    # A budget that was added measures its neighbours again.
                    if (found.method, fill, found.budget, path.name) not in known
                ]
                rows += fresh
                with journal.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in fresh)
                print(f"{found.method} {fill} {found.budget}: {start + len(batch)} of {len(paths)}", flush=True)
    write_report(options.stem, rows, options.judged_by, settings=plain_options(options))


if __name__ == "__main__":
    main(tyro.cli(Options))
