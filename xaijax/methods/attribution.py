"""What attribution methods share: masks are sampled, a score map is fitted to the answers, its highest scores are kept.

The whole image, the samples and the masks that follow from the scores are evaluated one after the other in one loop, so
that the classifier is compiled once. A method that differentiates through the classifier samples nothing: its fit does.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier
from xaijax.evaluation import Decode, Scenario, evaluate
from xaijax.explanation import Explanation, Status
from xaijax.fitness import RESPONSE, Response
from xaijax.masks import ranked
from xaijax.methods.conclusion import conclude
from xaijax.methods.groups import group_size, map_groups
from xaijax.methods.on_segments import Segmented, check_option

WHOLE, SAMPLES, KEPT = range(3)  # the stages of an attribution


@chex.dataclass(frozen=True)
class Attribution:
    """What a method found in one image."""

    score: jax.Array  # [H, W] float32, signed contribution of each pixel
    segment_score: jax.Array | None  # [S] float32, of each segment, for a method over segments
    ranks: jax.Array  # [H, W] int32, the place of each pixel in the order of being kept
    counts: jax.Array  # [Q] int32, the pixels that each mask to be evaluated keeps


@chex.dataclass(frozen=True)
class Samples:
    """What was evaluated of one image."""

    genomes: Any  # pytree of [N, ...]
    answers: Response  # [N], of the samples
    weight: jax.Array  # [N] float32, 1 for the samples that count, 0 for the others (an answer was not finite)
    whole: Response  # [], of the whole image
    target: jax.Array  # [] int32, the class explained


Fit = Callable[[Any, Samples], Attribution]
"""`fit(context, samples)`, for one image."""

Pick = Callable[[Response], jax.Array]
"""`pick(answers[1 + N + Q])` returns which mask is the result: of the whole image, then the samples, then the kept."""


def last(answers: Response) -> jax.Array:
    """Picks the last mask."""
    return jnp.int32(answers.area.shape[0] - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How a method explains a batch.

    Attributes:
        scenario: of the batch.
        genomes: pytree of `[B, N, ...]`, the samples.
        decode: genome to mask.
        fit: samples to scores, and to masks of the highest ones.
        active: `[B]` bool, False for places to pass over: without an image, or with a single segment.
        kept: Q, masks to evaluate after the fit.
        fit_evaluations: what the fit itself costs where it runs the classifier; it then takes images in groups.
        pick: which mask is the result.
        segmented: the segments, for a method over segments.
    """

    scenario: Scenario
    genomes: Any
    decode: Decode
    fit: Fit
    active: jax.Array
    kept: int = 1
    fit_evaluations: int = 0
    pick: Pick = last
    segmented: Segmented | None = None

    @classmethod
    def of_gradient(cls, scenario: Scenario, fit: Fit, *, active: jax.Array, gradients: int) -> "Plan":
        """Makes the plan of a method without samples, whose fit takes `gradients` gradients of the classifier.

        A gradient counts as 3 evaluations: a forward pass, and a backward pass of about twice its cost.
        """
        batch, height, width = scenario.images.shape[:3]
        return cls(
            scenario=scenario,
            genomes=jnp.zeros((batch, 0), jnp.bool_),
            decode=lambda context, genome: jnp.broadcast_to(genome, (height, width)),
            fit=fit,
            active=active,
            fit_evaluations=3 * gradients,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned:
    """A method that explains a batch by a plan."""

    def plan(
        self,
        keys: jax.Array,
        classifier: Classifier,
        images: jax.Array,
        labels: jax.Array | None,
        active: jax.Array,
    ) -> Plan:
        """Says what to sample and what to fit; traceable. See `explain` for the arguments."""
        raise NotImplementedError

    def explain(
        self,
        keys: jax.Array,
        classifier: Classifier,
        images: jax.Array,
        targets: jax.Array,
        labels: jax.Array | None,
        active: jax.Array,
        *,
        micro_batch: int,
    ) -> Explanation:
        """Explains a batch; see `ELIME.explain`."""
        plan = self.plan(keys, classifier, images, labels, active)
        return attribute(plan, classifier, targets, micro_batch=micro_batch)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttributionMethod(Planned):
    """Options of every attribution method whose evaluations can be chosen.

    Attributes:
        evaluations: forward passes an image, the whole image's and the last mask's included; at least 8.
    """

    evaluations: int = 1000

    def __post_init__(self) -> None:
        check_option("evaluations", self.evaluations >= 8, self.evaluations, "at least 8")


def keep_pixels(score: jax.Array, area: float) -> Attribution:
    """Keeps the pixels of highest score, a share `area` of all, at least one and not all."""
    count = min(max(round(area * score.size), 1), score.size - 1)
    return Attribution(
        score=score, segment_score=None, ranks=ranked.ranks(score), counts=jnp.full((1,), count, jnp.int32)
    )


def rank_segments(order: jax.Array, segments: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Ranks pixels segment by segment.

    Args:
        order: `[S]` float32, segments of a higher value come first.
        segments: `[H, W]` int32 in [0, S).

    Returns:
        Ranks `[H, W]` int32, and the pixels `[S]` int32 in the first segment, in the first two, ...; segments without
        pixels come last.
    """
    sizes = jnp.zeros(order.shape, jnp.int32).at[segments.reshape(-1)].add(1)
    first = jnp.argsort(jnp.where(sizes > 0, order, -jnp.inf), stable=True, descending=True)
    place = jnp.zeros(order.shape, jnp.float32).at[first].set(jnp.arange(len(order), dtype=jnp.float32))
    return ranked.ranks(-place[segments]), jnp.cumsum(sizes[first], dtype=jnp.int32)


def keep_segments(segment_score: jax.Array, segments: jax.Array, area: float) -> Attribution:
    """Keeps the segments of highest score, as many as fit into a share `area` of the pixels, at least one."""
    ranks, pixels = rank_segments(segment_score, segments)
    fitting = jnp.where(pixels <= int(area * segments.size), pixels, pixels[0])
    return Attribution(
        score=segment_score[segments], segment_score=segment_score, ranks=ranks, counts=jnp.max(fitting)[None]
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedArea(AttributionMethod):
    """An attribution method whose mask keeps a fixed share of the pixels: those of highest score.

    Attributes:
        area: share of the pixels that the mask keeps, above 0 and below 1.
    """

    area: float = 0.3

    def __post_init__(self) -> None:
        AttributionMethod.__post_init__(self)
        check_option("area", 0 < self.area < 1, self.area, "above 0 and below 1")


def attribute(plan: Plan, classifier: Classifier, targets: jax.Array, *, micro_batch: int) -> Explanation:
    """Explains a batch by sampling; traceable.

    Args:
        plan: of the method.
        classifier: any.
        targets: `[B]` int32, the class explained; -1 for the predicted one.
        micro_batch: masked images a forward pass.

    Returns:
        `Explanation` whose status says `ONE_SEGMENT` where a place was passed over.
    """
    scenario, active, kept = plan.scenario, plan.active, plan.kept
    batch, height, width = scenario.images.shape[:3]
    samples = jax.tree.leaves(plan.genomes)[0].shape[1]
    stages = jnp.array([WHOLE] + samples * [SAMPLES] + kept * [KEPT])
    padded = jax.tree.map(lambda leaf: jnp.pad(leaf, [(0, 0), (1, kept)] + [(0, 0)] * (leaf.ndim - 2)), plan.genomes)

    def explained(answers: Response, stage: jax.Array | int) -> jax.Array:
        return jnp.where(targets >= 0, targets, jnp.where(stage > WHOLE, answers.predicted[:, 0], -1))

    def fit_all(answers: Response) -> Attribution:
        def one(row: Any) -> Attribution:
            context, genomes, answers, target = row
            own = jax.tree.map(lambda leaf: leaf[1 : 1 + samples], answers)
            whole = jax.tree.map(lambda leaf: leaf[0], answers)
            weight = jnp.isfinite(own.log_odds).astype(jnp.float32)
            return plan.fit(context, Samples(genomes=genomes, answers=own, weight=weight, whole=whole, target=target))

        rows = (scenario.contexts, plan.genomes, answers, explained(answers, SAMPLES))
        return map_groups(one, rows, group_size(micro_batch)) if plan.fit_evaluations else jax.lax.map(one, rows)

    def genomes_of(found: Attribution) -> Any:
        """Returns, of each mask, how many of the first pixels it keeps, -1 for a sample, and the sample's genome."""
        whole = jnp.full((batch, 1), height * width, jnp.int32)
        counts = jnp.concatenate([whole, jnp.full((batch, samples), -1, jnp.int32), found.counts], axis=1)
        return counts, padded

    def decode(context: Any, genome: Any) -> jax.Array:
        ranks, own = context
        count, sample = genome
        mask = plan.decode(own, sample)
        return jnp.where(count < 0, mask, ranked.decode(ranks, count[None]).astype(mask.dtype))

    def step(stage: jax.Array, carry: tuple[Response, Attribution]) -> tuple[Response, Attribution]:
        answers, found = carry
        new = (stages == stage)[None] & active[:, None]
        fresh = evaluate(
            classifier,
            decode,
            dataclasses.replace(scenario, contexts=(found.ranks, scenario.contexts)),
            genomes_of(found),
            new,
            explained(answers, stage),
            micro_batch=micro_batch,
        )
        answers = jax.tree.map(lambda old, value: jnp.where(new, value, old), answers, fresh)
        return answers, jax.lax.cond(stage == SAMPLES, fit_all, lambda _: found, answers)

    nothing = jax.tree.map(lambda value: jnp.zeros((batch, len(stages)), value.dtype), RESPONSE)
    shapes = jax.eval_shape(fit_all, nothing)
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    answers, found = jax.lax.fori_loop(WHOLE, KEPT + 1, step, (nothing, blank))

    def result(row: Any) -> Explanation:
        answers, found, genomes, context, target, active, index = row
        place = plan.pick(answers)
        genome = jax.tree.map(lambda leaf: leaf[place], genomes)
        return conclude(
            answers,
            place,
            decode((found.ranks, context), genome).astype(jnp.bool_),
            found.score,
            found.segment_score,
            target=target,
            image_index=index,
            active=active,
            evaluations=len(stages) + plan.fit_evaluations,
        )

    index = jnp.arange(batch, dtype=jnp.int32)
    rows = (answers, found, genomes_of(found), scenario.contexts, explained(answers, KEPT), active, index)
    explanation = jax.lax.map(result, rows)
    if plan.segmented is None:
        return explanation
    status = explanation.status | jnp.where(plan.segmented.merged, int(Status.MERGED), 0)
    return dataclasses.replace(explanation, segments=plan.segmented.segments, status=status)
