"""Two-sided ordering: one order of the segments whose first ones suffice for the class, and whose removal loses it."""

import dataclasses
import functools
import math
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp
import numpy as np

from xaijax import threefry
from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import RESPONSE, Response, Targets, class_logits, log_odds_of_share, respond
from xaijax.genetic import archive as archives
from xaijax.genetic.bit_genome import count_words, pack, unpack, whole, with_complements
from xaijax.genetic.search import GENERATION_LIMIT, RUNNING, SPENT
from xaijax.masks import superpixels
from xaijax.masks.fills import Fill, split_fill
from xaijax.methods.pareto_front import FRONT, make_front, pick_smallest
from xaijax.methods.result import conclude
from xaijax.methods.searching import Searches, SearchingMethod, statuses_of
from xaijax.methods.superpixel_based import SuperpixelBased
from xaijax.methods.two_sided import set_process
from xaijax.methods.two_sided.set_process import SegmentLayout, SetProcess
from xaijax.micro_batches import FilledMask, Readout, Scenario
from xaijax.options import check_option, option
from xaijax.pairwise import running_count
from xaijax.sequential import map_rows, row_wise

CLASSES = 24
"""Classes whose logits are read, the most probable ones of the whole image; the others are added up to one."""

PAIRS = 25
"""Complementary pairs of random masks before the first fit; at most a quarter of the evaluations."""

NEIGHBOURS = 4
"""Segments on each side of a cut among which two are exchanged."""

CONFIRMED = 0.1
"""Share of the evaluations that confirm masks under all fills."""

SWAPS, LAST_SWAPS = 4, 12
"""Rounds in which neighbours of an order are exchanged, during the search and at its end."""

MARGINS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
"""Log-odds above what is required by which the masks to confirm are predicted to pass."""

REST = -2
"""The number of all other classes together, among those that are read."""

_GOLDEN = (5**0.5 - 1) / 2


@chex.dataclass(frozen=True)
class Reading:
    """What is read off a forward pass; leading axes for more."""

    response: Response
    outputs: jax.Array  # [K] float32, the logits of `classes`
    classes: jax.Array  # [K] int32


@chex.dataclass(frozen=True)
class Evaluated:
    """What the archive keeps of a forward pass; leading axes for more."""

    response: Response
    outputs: jax.Array  # [K] float32


@chex.dataclass(frozen=True)
class TwoSidedState:
    """The search of one image; a genome is a mask in words, and its fill in one word more."""

    key: jax.Array
    length: jax.Array  # [] int32, number of segments
    layout: SegmentLayout
    targets: Targets  # []
    classes: jax.Array  # [K] int32, those whose logits are read; -1 before the whole image is known
    drawn: jax.Array  # [D P, W] uint32, the masks before the first fit
    pending: jax.Array  # [P, W] uint32
    new: jax.Array  # [P] bool, which of them must be evaluated
    archive: archives.Archive
    spent: jax.Array  # [] int32
    generation: jax.Array  # [] int32, 0 before the whole image is known
    best: jax.Array  # [] float32, the highest probability so far
    stop_reason: jax.Array  # [] int32


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoSided(SuperpixelBased, SearchingMethod):
    """Orders the segments for both curves: by what the first ones keep, and by what they take with them.

    A Gaussian process learns from the masks evaluated so far what the classifier says of any set of segments, under
    each fill. Every round orders the segments by it, and evaluates prefixes of this order and what they leave out, each
    under the next fill. The last evaluations confirm small masks under all fills: `probability` and `front` are the
    lowest over the fills. The score of a segment tells its place in the order, from 1 for the first down to 1/n. It
    also has the options of `SuperpixelBased` and `SearchingMethod`.

    Attributes:
        fill: one fill, or several joined by `+`, under which masks are evaluated in turn.
        population: masks per round, even, at least 2 for each fill; None takes about 1.5 times the square root of
            `evaluations`.
        keep: share of the whole image's probability that the mask must keep; above 0 and at most 1.

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006). The two sides are the confidence terms
        of Chen et al., Less is More (2024), arXiv 2402.09164.
    """

    takes_several_fills: ClassVar[bool] = True

    fill: Fill = "black+blur+image-mean"
    population: int | None = option(None, at_least=2)
    keep: float = option(0.9, above=0, at_most=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        size, fills = self.population, self.fills
        fits = size is None or (size % 2 == 0 and size >= 2 * fills)
        check_option("population", fits, size, f"even and at least 2 for each of the {fills} fills")

    @property
    def fills(self) -> int:
        """How many fills there are."""
        return len(split_fill(self.fill))

    @property
    def round_size(self) -> int:
        """Masks per round."""
        return self.population or 2 * max(self.fills, round(0.75 * math.sqrt(self.evaluations)))

    @property
    def masks_at_a_time(self) -> int:
        """A round; see `SearchingMethod.masks_at_a_time`."""
        return self.round_size

    @property
    def drawn_rounds(self) -> int:
        """Rounds before the first fit."""
        pairs = max(1, min(PAIRS, self.evaluations // 8))
        return -(-(self.fills + 2 * pairs) // self.round_size)

    @property
    def path_evaluations(self) -> int:
        """Evaluations after which masks are confirmed."""
        return self.evaluations - max(self.fills, round(CONFIRMED * self.evaluations))

    def decode(self, context: jax.Array, genome: jax.Array) -> FilledMask:
        """See `xaijax.micro_batches.Decode`; the context is the label map."""
        return FilledMask(mask=superpixels.decode(context, genome[:-1]), fill=genome[-1].astype(jnp.int32))

    def readout(self, classifier: Classifier) -> Readout:
        """See `SearchingMethod.readout`."""
        count = _outputs(classifier)
        shapes: Any = {
            "response": RESPONSE,
            "outputs": jax.ShapeDtypeStruct((count,), jnp.float32),
            "classes": jax.ShapeDtypeStruct((count,), jnp.int32),
        }
        return Readout(read=read, values=Reading(**shapes))

    def response(self, values: Any) -> Response:
        """See `SearchingMethod.response`."""
        response: Response = values.response
        return response

    def scenario_now(self, searches: Searches) -> Scenario:
        """See `SearchingMethod.scenario_now`."""
        return dataclasses.replace(searches.scenario, baselines=searches.states.classes)

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Searches:
        """See `SearchingMethod.begin`."""
        segmented = self.segment(classifier, batch)
        layout = functools.partial(set_process.segment_layout, max_segments=self.max_segments)
        active = batch.active & (segmented.length > 1)
        layouts = map_rows(layout, segmented.segments)
        init = functools.partial(self._init, outputs=_outputs(classifier))
        states = jax.vmap(init)(keys, segmented.length, active, batch.targets, layouts)
        return Searches(states=states, scenario=segmented.scenario, merged=segmented.merged)

    def _init(
        self,
        key: jax.Array,
        length: jax.Array,
        active: jax.Array,
        targets: Targets,
        layout: SegmentLayout,
        *,
        outputs: int,
    ) -> TwoSidedState:
        draw_key, key = threefry.split(key)
        words = count_words(self.max_segments) + 1
        shapes: Any = {"response": RESPONSE, "outputs": jax.ShapeDtypeStruct((outputs,), jnp.float32)}
        return TwoSidedState(
            key=key,
            length=length,
            layout=layout,
            targets=targets,
            classes=jnp.full((outputs,), -1, jnp.int32),
            drawn=self._draw(draw_key, length),
            pending=jnp.zeros((self.round_size, words), jnp.uint32),
            new=jnp.zeros((self.round_size,), jnp.bool_),
            archive=archives.empty(self.evaluations, words, Evaluated(**shapes)),
            spent=jnp.int32(0),
            generation=jnp.int32(0),
            best=jnp.float32(-jnp.inf),
            stop_reason=jnp.where(active, RUNNING, GENERATION_LIMIT).astype(jnp.int32),
        )

    def _draw(self, key: jax.Array, length: jax.Array) -> jax.Array:
        """Draws the masks before the first fit: the empty one under each fill, and complementary pairs."""
        words = count_words(self.max_segments)
        count = self.drawn_rounds * self.round_size
        pairs = -(-(count - self.fills) // 2)
        # One side keeps up to half of the segments: densities as of `bit_genome.varied_density`.
        density = 0.5 * np.modf((np.arange(pairs)[:, None] + 0.5) * _GOLDEN)[0]
        draws = threefry.uniform(key, pairs * 32 * words).reshape(pairs, -1)
        half = pack(draws < jnp.asarray(density, jnp.float32)) & whole(length, words)[None]
        first = pack(jnp.arange(32 * words)[None] == jnp.argmin(draws, axis=1)[:, None] % length)
        half = jnp.where(jnp.all(half == 0, axis=1)[:, None], first, half)
        number = np.arange(pairs) % self.fills
        both = self._filled(with_complements(half, length), np.repeat(number, 2))
        empty = self._filled(jnp.zeros((self.fills, words), jnp.uint32), np.arange(self.fills))
        return jnp.concatenate([empty, both])[:count]

    def _filled(self, masks: jax.Array, fills: Any) -> jax.Array:
        """Returns genomes `[N, W]` of masks `[N, W - 1]` and fills `[N]`."""
        return jnp.concatenate([masks, jnp.asarray(fills).astype(jnp.uint32)[:, None]], axis=1)

    def propose(self, state: TwoSidedState) -> tuple[TwoSidedState, jax.Array]:
        """See `SearchingMethod.propose`."""
        key, own_key = threefry.split(state.key)
        running = state.stop_reason == RUNNING
        is_drawn = state.generation <= self.drawn_rounds
        first = jnp.maximum(state.generation - 1, 0) * self.round_size
        drawn = jax.lax.dynamic_slice_in_dim(state.drawn, first, self.round_size)
        needed = running & ~is_drawn
        learnt = row_wise(self._next_masks)(needed, dataclasses.replace(state, key=own_key))
        words = state.pending.shape[1]
        full = jnp.concatenate([whole(state.length, words - 1), jnp.zeros((1,), jnp.uint32)])
        genomes = jnp.where(is_drawn, drawn, learnt)
        genomes = jnp.where(state.generation == 0, full[None], genomes)
        new = ~archives.is_repeat(state.archive, genomes) & running
        new &= running_count(new) <= self.evaluations - state.spent
        key, genomes = jax.tree.map(
            lambda after, before: jnp.where(running, after, before), (key, genomes), (state.key, state.pending)
        )
        return dataclasses.replace(state, key=key, pending=genomes, new=new), genomes

    def _next_masks(self, state: TwoSidedState) -> jax.Array:
        """Returns the genomes `[P, W]` of the next round of one image."""
        process = self._fit(state)
        mean = set_process.over_fills(process)
        order = set_process.greedy_order(mean, state.length, per_area=True)
        order = set_process.swap_neighbours(mean, order, state.length, rounds=SWAPS)
        return jax.lax.cond(
            state.spent < self.path_evaluations,
            lambda: self._on_path(state, order),
            lambda: self._to_confirm(state, process, mean, order),
        )

    def _fit(self, state: TwoSidedState) -> SetProcess:
        archive = state.archive
        genomes, values = archive.genomes, archive.values
        known = archives.is_known(archive) & jnp.isfinite(values.response.log_odds)
        fills = genomes[:, -1].astype(jnp.int32)
        bits = unpack(genomes[:, :-1], self.max_segments)
        # The whole image is the same under every fill.
        more = self.fills - 1
        bits, outputs, known = (
            jnp.concatenate([leaf, jnp.repeat(leaf[:1], more, axis=0)]) for leaf in (bits, values.outputs, known)
        )
        fills = jnp.concatenate([fills, jnp.arange(1, self.fills, dtype=jnp.int32)])
        own = state.classes == state.targets.explained
        rivals = jnp.where(state.targets.against < 0, ~own, state.classes == state.targets.against)
        return set_process.fit(state.layout, bits, fills, outputs, known, own=own, rivals=rivals, count=self.fills)

    def _on_path(self, state: TwoSidedState, order: jax.Array) -> jax.Array:
        """Returns prefixes of an order, in half of them two segments near the cut exchanged, and their complements."""
        pairs, length = self.round_size // 2, state.length
        draws = threefry.uniform(state.key, 4 * pairs).reshape(4, pairs)
        size = 1 + _below(draws[0], jnp.broadcast_to(length - 1, (pairs,)))
        out = order[size - 1 - _below(draws[1], jnp.minimum(size, NEIGHBOURS))]
        into = order[size + _below(draws[2], jnp.minimum(length - size, NEIGHBOURS))]
        kept = set_process.prefixes(order, length)[size] > 0
        segments = jnp.arange(self.max_segments)[None]
        exchanged = (kept & (segments != out[:, None])) | (segments == into[:, None])
        kept = jnp.where((draws[3] < 0.5)[:, None], exchanged, kept)
        masks = pack(kept)
        fills = (state.generation * pairs + jnp.arange(pairs)) % self.fills
        return self._filled(with_complements(masks, length), jnp.repeat(fills, 2))

    def _to_confirm(self, state: TwoSidedState, process: SetProcess, mean: SetProcess, order: jax.Array) -> jax.Array:
        """Returns small masks that are predicted to keep the class under all fills, each under each of them.

        They are prefixes of an order, or of one that asks only what a set keeps.
        """
        sufficient = set_process.greedy_order(mean, state.length, per_area=True, removal=0.0)
        sizes = jnp.arange(self.max_segments)
        is_mask = (sizes > 0) & (sizes < state.length)
        masks = jnp.concatenate([set_process.prefixes(each, state.length)[:-1] for each in (order, sufficient)])
        is_mask = jnp.concatenate([is_mask, is_mask])
        areas = jnp.matmul(masks, state.layout.areas, precision=jax.lax.Precision.HIGHEST)
        lowest = jnp.min(set_process.predict(process, masks).log_odds, axis=1)
        least = log_odds_of_share(state.archive.values.response.log_odds[0], self.keep)
        count = max(1, self.round_size // (2 * self.fills))
        margins = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(MARGINS)), MARGINS).astype(np.float32)
        passes = (lowest[None] >= least + margins[:, None]) & is_mask[None]
        # Where none is predicted to pass, the largest mask.
        area = jnp.where(passes, areas[None], jnp.where(is_mask, 3 - areas, jnp.inf)[None])
        chosen = jnp.repeat(pack(masks[jnp.argmin(area, axis=1)] > 0), self.fills, axis=0)
        genomes = self._filled(chosen, np.tile(np.arange(self.fills), count))
        # The rest of the round repeats the last one, which costs nothing.
        return jnp.concatenate([genomes, jnp.repeat(genomes[-1:], self.round_size - len(genomes), axis=0)])

    def learn(self, state: TwoSidedState, values: Reading) -> TwoSidedState:
        """See `SearchingMethod.learn`."""
        kept = Evaluated(response=values.response, outputs=values.outputs)
        archive = archives.insert(state.archive, state.pending, kept, state.new)
        is_whole = state.generation == 0
        spent = state.spent + jnp.sum(state.new, dtype=jnp.int32)
        targets = state.targets.resolved(values.response.predicted[0])
        probable = jnp.where(state.new, values.response.probability, -jnp.inf)
        limit = 2 * -(-self.evaluations // self.round_size) + self.drawn_rounds
        reason = jnp.where(spent >= self.evaluations, SPENT, RUNNING)
        reason = jnp.where(state.generation >= limit, GENERATION_LIMIT, reason).astype(jnp.int32)
        updated = dataclasses.replace(
            state,
            archive=archive,
            targets=jax.tree.map(lambda after, before: jnp.where(is_whole, after, before), targets, state.targets),
            classes=jnp.where(is_whole, values.classes[0], state.classes),
            new=jnp.zeros_like(state.new),
            spent=spent,
            generation=state.generation + 1,
            best=jnp.where(is_whole, state.best, jnp.maximum(state.best, jnp.max(probable))),
            stop_reason=reason,
        )
        running = state.stop_reason == RUNNING
        return jax.tree.map(lambda after, before: jnp.where(running, after, before), updated, state)

    def _order(self, state: TwoSidedState) -> jax.Array:
        """Returns of three orders, after exchanges, the one of the best predicted curves, `[S]` int32."""
        process = self._fit(state)
        kinds = ({"per_area": False}, {"per_area": True}, {"per_area": False, "backward": True})
        orders = []
        for kind in kinds:
            order = set_process.greedy_order(process, state.length, **kind)
            orders.append(set_process.swap_neighbours(process, order, state.length, rounds=LAST_SWAPS))
        gains = jnp.stack([set_process.curve_gain(process, order, state.length) for order in orders])
        return jnp.stack(orders)[jnp.argmax(gains)]

    def result(
        self, state: TwoSidedState, segments: jax.Array, targets: Targets, merged: jax.Array, index: jax.Array
    ) -> Explanation:
        """See `SearchingMethod.result`."""
        archive, responses = state.archive, state.archive.values.response
        evaluated = archives.is_known(archive)
        finite = evaluated & jnp.isfinite(responses.log_odds)
        masks = finite.at[0].set(False)  # the whole image is no mask
        works = finite[0] & jnp.any(masks)
        lowest, is_confirmed = self._under_all_fills(archive, masks)
        allowed = jnp.where(jnp.any(is_confirmed), is_confirmed, masks)
        least = log_odds_of_share(responses.log_odds[0], self.keep)
        best, is_kept = pick_smallest(lowest, allowed, least)
        is_kept &= jnp.any(is_confirmed)
        several = state.length > 1
        order = self._order(state)
        place = jnp.zeros((self.max_segments,), jnp.int32).at[order].set(jnp.arange(self.max_segments, dtype=jnp.int32))
        share = (state.length - place).astype(jnp.float32) / state.length.astype(jnp.float32)
        score = jnp.where(jnp.arange(self.max_segments) < state.length, share, 0)
        genomes = archive.genomes[:, :-1]
        return conclude(
            works,
            jax.tree.map(lambda leaf: leaf[0], responses),
            jax.tree.map(lambda leaf: leaf[best], lowest),
            mask=superpixels.decode(segments, genomes[best]),
            score=score[segments],
            probability_by_fill=self._by_fill(archive, best),
            genome=genomes[best],
            targets=targets,
            image_index=index,
            evaluations=state.spent,
            holds=statuses_of(
                state.stop_reason, several=several, merged=merged, evaluated=evaluated, finite=finite, works=works
            )
            | {Status.NOT_KEPT: works & ~is_kept},
            segments=segments,
            segment_score=score,
            front=make_front(genomes, lowest, allowed & works, size=min(FRONT, self.evaluations - 1)),
            generations=jnp.maximum(state.generation - 1, 0),
        )

    def _by_fill(self, archive: archives.Archive, mask: jax.Array) -> jax.Array:
        """Returns the probability on a mask, an entry `[]` int32 of the archive, under each fill, `[F]` float32."""
        same = jnp.all(archive.genomes[:, :-1] == archive.genomes[mask, :-1][None], axis=1)
        same &= archives.is_known(archive)
        of_fill = archive.genomes[:, -1][None] == jnp.arange(self.fills, dtype=jnp.uint32)[:, None]
        found = same[None] & of_fill
        highest = jnp.max(jnp.where(found, archive.values.response.probability[None], -jnp.inf), axis=1)
        return jnp.where(jnp.any(found, axis=1), highest, jnp.nan)

    def _under_all_fills(self, archive: archives.Archive, known: jax.Array) -> tuple[Response, jax.Array]:
        """Returns the lowest response `[E]` to each mask, and whether it was evaluated under all fills, `[E]` bool."""
        genomes, responses = archive.genomes[:, :-1], archive.values.response
        same = known[:, None] & known[None]
        for word in range(genomes.shape[1]):
            same &= genomes[:, None, word] == genomes[None, :, word]
        lowest = jnp.min(jnp.where(same, responses.log_odds[None], jnp.inf), axis=1)
        count = jnp.sum(same, axis=1, dtype=jnp.int32)
        return dataclasses.replace(
            responses, log_odds=jnp.where(known, lowest, responses.log_odds)
        ), count == self.fills


def _below(draws: jax.Array, counts: jax.Array) -> jax.Array:
    """Turns draws `[N]` float32 in [0, 1) into numbers `[N]` int32 from 0, below the counts `[N]` int32."""
    return jnp.minimum(jnp.floor(draws * counts.astype(jnp.float32)).astype(jnp.int32), counts - 1)


def _outputs(classifier: Classifier) -> int:
    """Returns how many outputs are read: of a sigmoid the class alone, and a zero."""
    if _is_alone(classifier):
        return 2
    return classifier.num_classes if classifier.num_classes <= CLASSES + 1 else CLASSES + 1


def _is_alone(classifier: Classifier) -> bool:
    return classifier.activation == "sigmoid" and classifier.num_classes != 2


def read(
    classifier: Classifier, logits: jax.Array, activations: Any, scenario: Scenario, targets: Targets, areas: jax.Array
) -> Reading:
    """Reads the response to masked images, and the logits of the classes that matter; see `Readout.read`."""
    response = respond(classifier, logits, targets, areas)
    explained = targets.resolved(response.predicted).explained
    if _is_alone(classifier):
        outputs = jnp.stack([response.log_odds, jnp.zeros_like(response.log_odds)], axis=1)
        return Reading(
            response=response, outputs=outputs, classes=jnp.stack([explained, jnp.full_like(explained, REST)], 1)
        )
    logits = class_logits(classifier, logits)
    count = _outputs(classifier)
    number = jnp.arange(logits.shape[1], dtype=jnp.int32)[None]
    is_asked = (number == explained[:, None]) | (number == targets.against[:, None])
    single = count if count == logits.shape[1] else count - 1
    top = jax.lax.top_k(jnp.where(is_asked, jnp.inf, logits), single)[1].astype(jnp.int32)
    classes = jnp.where(scenario.baselines[:, :1] < 0, top, scenario.baselines[:, :single])
    outputs = jnp.take_along_axis(logits, classes, axis=1)
    if single < count:
        is_single = jnp.any(classes[:, :, None] == number[:, None], axis=1)
        rest = jax.nn.logsumexp(jnp.where(is_single, -jnp.inf, logits), axis=1)
        outputs = jnp.concatenate([outputs, rest[:, None]], axis=1)
        classes = jnp.concatenate([classes, jnp.full((len(classes), 1), REST, jnp.int32)], axis=1)
    return Reading(response=response, outputs=outputs, classes=classes)
