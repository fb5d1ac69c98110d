"""The base of attribution methods: sample masks, fit a score map to the responses, keep its highest scores.

The whole image, the samples and the masks that follow from the scores are evaluated one after the other in one loop, so
that the classifier is compiled once. A method that differentiates through the classifier takes no samples; its fit runs
the classifier.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import RESPONSE, Response, Targets
from xaijax.genetic.bit_genome import pack
from xaijax.masks import ranked
from xaijax.methods.attribution.plan import Attribution, Plan, Samples
from xaijax.methods.result import conclude
from xaijax.micro_batches import Decode, evaluate
from xaijax.options import Options, option
from xaijax.sequential import map_groups, map_rows

WHOLE, SAMPLES, KEPT = range(3)  # the stages of an attribution


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned(Options):
    """A method that explains a batch by a plan."""

    def plan(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Plan:
        """Returns what to sample and how to fit it; traceable. The arguments are those of `explain`."""
        raise NotImplementedError

    def explain(self, keys: jax.Array, classifier: Classifier, batch: Batch, *, micro_batch: int) -> Explanation:
        """Explains a batch; see `SearchingMethod.explain`."""
        result = attribute(self.plan(keys, classifier, batch), classifier, batch.targets, micro_batch=micro_batch)
        return dataclasses.replace(result, image_index=batch.image_index)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttributionMethod(Planned):
    """An attribution method whose number of evaluations can be chosen.

    Attributes:
        evaluations: forward passes per image, including those on the whole image and on the last mask; at least 8.
    """

    evaluations: int = option(1000, at_least=8)

    @property
    def masks_at_a_time(self) -> int:
        """The samples of an image, all of which are evaluated together."""
        return self.evaluations


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedArea(AttributionMethod):
    """An attribution method whose mask keeps a fixed share of the pixels: those of highest score.

    Attributes:
        area: share of the pixels that the mask keeps, above 0 and below 1.
    """

    area: float = option(0.3, above=0, below=1)


def attribute(plan: Plan, classifier: Classifier, targets: Targets, *, micro_batch: int) -> Explanation:
    """Explains a batch by a plan; traceable.

    Args:
        plan: the plan.
        classifier: any.
        targets: `[B]`, the classes to explain.
        micro_batch: masked images per forward pass.

    Returns:
        `Explanation`; slots that were skipped have the status `ONE_SEGMENT`.
    """
    scenario, batch = plan.scenario, len(plan.active)
    stages = jnp.array([WHOLE] + _samples(plan) * [SAMPLES] + plan.kept * [KEPT])
    asked = jnp.broadcast_to(plan.active[:, None], (batch, len(stages)))
    if plan.repeated is not None:
        asked &= ~jnp.pad(plan.repeated, ((0, 0), (1, plan.kept)))
    decode = functools.partial(_decode, plan.decode)
    fit = functools.partial(_fit, plan, micro_batch=micro_batch)

    def known(responses: Response, stage: jax.Array | int) -> Targets:
        return targets.resolved(jnp.where(stage > WHOLE, responses.predicted[:, 0], -1))

    def step(stage: jax.Array, carry: tuple[Response, Attribution]) -> tuple[Response, Attribution]:
        responses, found = carry
        new = (stages == stage)[None] & asked
        ranked_too = dataclasses.replace(scenario, contexts=(found.ranks, scenario.contexts))
        genomes, requested = _genomes(plan, found), known(responses, stage)
        fresh = evaluate(classifier, decode, ranked_too, genomes, new, requested, micro_batch=micro_batch)
        responses = jax.tree.map(lambda old, value: jnp.where(new, value, old), responses, fresh)
        return responses, jax.lax.cond(stage == SAMPLES, fit, lambda *_: found, responses, requested)

    nothing = jax.tree.map(lambda value: jnp.zeros((batch, len(stages)), value.dtype), RESPONSE)
    shapes = jax.eval_shape(fit, nothing, targets)
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    responses, found = jax.lax.fori_loop(WHOLE, KEPT + 1, step, (nothing, blank))

    def result(row: Any) -> Explanation:
        responses, found, genomes, context, targets, asked, index = row
        active = asked[0]
        best = plan.pick(responses)
        whole, picked, genome = (
            jax.tree.map(lambda leaf, at=at: leaf[at], tree)
            for tree, at in ((responses, 0), (responses, best), (genomes, best))
        )
        mask = decode((found.ranks, context), genome).astype(jnp.bool_)
        finite = jnp.isfinite(responses.log_odds)
        works = active & finite[0] & finite[best] & jnp.all(jnp.isfinite(found.score))
        unsure = {} if found.separated is None else {Status.UNSEPARATED: works & ~found.separated}
        return conclude(
            works,
            whole,
            picked,
            mask=mask,
            score=found.score,
            score_std=found.score_std,
            genome=pack(mask.reshape(-1)),
            targets=targets,
            image_index=index,
            evaluations=jnp.where(active, jnp.sum(asked, dtype=jnp.int32) + plan.fit_evaluations, 0),
            holds={
                Status.SPENT: active,
                Status.ONE_SEGMENT: ~active,
                Status.NOT_FINITE: active & ~works,
                Status.SOME_NOT_FINITE: works & ~jnp.all(finite),
            }
            | unsure,
            segment_score=found.segment_score,
        )

    index = jnp.arange(batch, dtype=jnp.int32)
    rows = (responses, found, _genomes(plan, found), scenario.contexts, known(responses, KEPT), asked, index)
    explanation = map_rows(result, rows)
    if plan.segmented is None:
        return explanation
    status = explanation.status | jnp.where(plan.segmented.merged, int(Status.MERGED), 0)
    return dataclasses.replace(explanation, segments=plan.segmented.segments, status=status)


def _samples(plan: Plan) -> int:
    return jax.tree.leaves(plan.genomes)[0].shape[1]


def group_size(micro_batch: int) -> int:
    """Returns how many images a fit that differentiates through the classifier takes at once.

    This is a quarter of a micro-batch, because a backward pass holds the activations of every layer, but at least 4 if
    the micro-batch is that large. It does not depend on the number of images, so neither do an image's last bits.
    """
    return min(micro_batch, max(4, micro_batch // 4))


def _fit(plan: Plan, responses: Response, targets: Targets, *, micro_batch: int) -> Attribution:
    """Fits every active image of a batch to the responses `[B, 1 + N + Q]`."""
    samples = _samples(plan)

    def one(row: Any) -> Attribution:
        context, genomes, responses, targets, repeated = row
        own = jax.tree.map(lambda leaf: leaf[1 : 1 + samples], responses)
        whole = jax.tree.map(lambda leaf: leaf[0], responses)
        counts = jnp.isfinite(own.log_odds)
        if repeated is not None:
            counts &= ~repeated
        weight = counts.astype(jnp.float32)
        return plan.fit(context, Samples(genomes=genomes, responses=own, weight=weight, whole=whole, targets=targets))

    rows = (plan.scenario.contexts, plan.genomes, responses, targets, plan.repeated)
    if plan.fit_evaluations:
        return map_groups(one, rows, group_size(micro_batch), plan.active)
    return map_rows(one, rows, plan.active)


def _genomes(plan: Plan, found: Attribution) -> Any:
    """Returns of each mask how many of the first-ranked pixels it keeps (-1 for a sample), and the sample's genome."""
    batch, (height, width) = len(plan.active), plan.scenario.images.shape[1:3]
    whole = jnp.full((batch, 1), height * width, jnp.int32)
    counts = jnp.concatenate([whole, jnp.full((batch, _samples(plan)), -1, jnp.int32), found.counts], axis=1)
    sides = (1, plan.kept)
    padded = jax.tree.map(lambda leaf: jnp.pad(leaf, [(0, 0), sides] + [(0, 0)] * (leaf.ndim - 2)), plan.genomes)
    return counts, padded


def _decode(decode_sample: Decode, context: Any, genome: Any) -> jax.Array:
    ranks, own = context
    count, sample = genome
    mask = decode_sample(own, sample)
    return jnp.where(count < 0, mask, ranked.decode(ranks, count[None]).astype(mask.dtype))
