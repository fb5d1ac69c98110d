"""The base of methods that order segments one by one: a round tries some of them, and places the best or the worst.

A round tries each of its segments on top of a set, S at the front of the order or D at its back, by F of the set with
the segment. Masks of a round are evaluated together for all images; none is evaluated twice.
"""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.batch import Batch
from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.fitness import RESPONSE, Response, Targets, log_odds_of_share
from xaijax.genetic import archive as archives
from xaijax.genetic.bit_genome import count_words, pack, whole, with_complements
from xaijax.genetic.search import GENERATION_LIMIT, RUNNING, SPENT
from xaijax.masks import ranked, superpixels
from xaijax.methods.pareto_front import FRONT, make_front, pick_smallest
from xaijax.methods.result import conclude
from xaijax.methods.searching import Searches, SearchingMethod, statuses_of
from xaijax.methods.superpixel_based import SuperpixelBased
from xaijax.options import option
from xaijax.pairwise import running_count


@chex.dataclass(frozen=True)
class OrderingState:
    """The order of one image's segments after some rounds."""

    length: jax.Array  # [] int32, number of segments
    position: jax.Array  # [S] int32 in [0, length), of the segments that are placed; -1 of the others
    front: jax.Array  # [] int32, segments placed at the front
    back: jax.Array  # [] int32, segments placed at the back
    worth: jax.Array  # [S] float32, F of the front with each segment when it was last tried; -inf if it never was
    tries_back: jax.Array  # [] bool, whether the next round tries what to place at the back
    tried: jax.Array  # [S] bool, the segments of the round
    pending: jax.Array  # [P, W] uint32, the masks of the round
    new: jax.Array  # [P] bool, which of them must be evaluated
    archive: archives.Archive
    spent: jax.Array  # [] int32, forward passes so far
    generation: jax.Array  # [] int32, rounds so far; 0 before the whole image is known
    best: jax.Array  # [] float32, F of the front
    stop_reason: jax.Array  # [] int32, RUNNING or why it ended

    @property
    def is_left(self) -> jax.Array:
        """Which segments are not placed yet, `[S]` bool."""
        return (jnp.arange(len(self.position)) < self.length) & (self.position < 0)

    @property
    def members(self) -> jax.Array:
        """The set on top of which the round tries its segments, `[S]` bool: the front, or the back."""
        is_front = (self.position >= 0) & (self.position < self.front)
        is_back = self.position >= self.length - self.back
        return jnp.where(self.tries_back, is_back, is_front)

    def place_front(self, segment: jax.Array, holds: jax.Array) -> "OrderingState":
        """Places a segment, `[]` int32, behind the front, where it `holds`, `[]` bool."""
        position = self.position.at[segment].set(self.front)
        return dataclasses.replace(
            self,
            position=jnp.where(holds, position, self.position),
            front=self.front + holds.astype(jnp.int32),
        )

    def place_back(self, segment: jax.Array, holds: jax.Array) -> "OrderingState":
        """Places a segment, `[]` int32, before the back, where it `holds`, `[]` bool."""
        position = self.position.at[segment].set(self.length - 1 - self.back)
        return dataclasses.replace(
            self,
            position=jnp.where(holds, position, self.position),
            back=self.back + holds.astype(jnp.int32),
        )

    @property
    def order(self) -> jax.Array:
        """The position of every segment, `[S]` int32: those that are left stand behind the front, by their worth."""
        among = ranked.ranks(jnp.where(self.is_left, self.worth, -jnp.inf))
        # Ranks of what is left, without the gaps of what is placed: -inf is shared with segments never tried.
        behind = jnp.sum((among[:, None] > among[None]) & self.is_left[None], axis=1, dtype=jnp.int32)
        return jnp.where(self.is_left, self.front + behind, self.position)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentOrdering(SuperpixelBased, SearchingMethod):
    """Orders the segments, and keeps the smallest evaluated mask that holds.

    The score of a segment tells its place in the order: from 1 for the first down to 1/n for the last of n. A round is
    evaluated whole or not at all, but for the first: where the evaluations do not allow it, its segments are tried in
    the order of their labels as far as they go. It also has the options of `SuperpixelBased` and `SearchingMethod`.

    Attributes:
        keep: share of the whole image's probability that the mask must keep; above 0 and at most 1.
    """

    evaluations: int = 1000
    keep: float = option(0.9, above=0, at_most=1)

    @property
    def sides(self) -> int:
        """Passes per segment and round: 2 where what a mask leaves out is evaluated too."""
        return 2

    def choose(self, state: OrderingState) -> jax.Array:
        """Returns the segments `[S]` bool that the next round tries on top of `state.members`."""
        raise NotImplementedError

    def place(self, state: OrderingState, worth: jax.Array, holds: jax.Array) -> OrderingState:
        """Places segments by the worth `[S]` float32 of those that the round tried, where the round `holds`, `[]` bool.

        Worth is -inf for the others. Every segment but the last one left must be placed in the end.
        """
        raise NotImplementedError

    def decode(self, context: jax.Array, genome: jax.Array) -> jax.Array:
        """See `xaijax.masks.superpixels.decode`; the context is the label map."""
        return superpixels.decode(context, genome)

    def begin(self, keys: jax.Array, classifier: Classifier, batch: Batch) -> Searches:
        """See `SearchingMethod.begin`; nothing is drawn."""
        segmented = self.segment(classifier, batch)
        states = jax.vmap(self._init)(segmented.length, batch.active & (segmented.length > 1))
        return Searches(states=states, scenario=segmented.scenario, merged=segmented.merged)

    def _init(self, length: jax.Array, active: jax.Array) -> OrderingState:
        segments, words = self.max_segments, count_words(self.max_segments)
        count = self.sides * segments
        return OrderingState(
            length=length,
            position=jnp.full((segments,), -1, jnp.int32),
            front=jnp.int32(0),
            back=jnp.int32(0),
            worth=jnp.full((segments,), -jnp.inf, jnp.float32),
            tries_back=jnp.bool_(False),
            tried=jnp.zeros((segments,), jnp.bool_),
            pending=jnp.zeros((count, words), jnp.uint32),
            new=jnp.zeros((count,), jnp.bool_),
            archive=archives.empty(self.evaluations, words, RESPONSE),
            spent=jnp.int32(0),
            generation=jnp.int32(0),
            best=jnp.float32(-jnp.inf),
            stop_reason=jnp.where(active, RUNNING, GENERATION_LIMIT).astype(jnp.int32),
        )

    def propose(self, state: OrderingState) -> tuple[OrderingState, jax.Array]:
        """See `SearchingMethod.propose`."""
        count, words = state.pending.shape
        is_whole = state.generation == 0
        tried = self.choose(state) & state.is_left & ~is_whole
        one_more = state.members[None] | jnp.eye(len(tried), dtype=jnp.bool_)
        genomes = pack(one_more)
        if self.sides == 2:
            genomes = with_complements(genomes, state.length)
        genomes = jnp.where(is_whole, whole(state.length, words)[None], genomes)
        asked = jnp.where(is_whole, jnp.arange(count) == 0, jnp.repeat(tried, self.sides))
        new = asked & ~archives.is_repeat(state.archive, jnp.where(asked[:, None], genomes, jnp.uint32(0)))
        left = self.evaluations - state.spent
        fits = jnp.sum(new, dtype=jnp.int32) <= left
        # Of a first round that does not fit, as many segments as do.
        first = running_count(new) <= left - left % self.sides
        new &= fits | (first & (state.generation == 1))
        running = state.stop_reason == RUNNING
        new &= running
        pending = jnp.where(running, genomes, state.pending)
        return dataclasses.replace(state, pending=pending, new=new, tried=tried), genomes

    def learn(self, state: OrderingState, values: Response) -> OrderingState:
        """See `SearchingMethod.learn`."""
        archive = archives.insert(state.archive, state.pending, values, state.new)
        known, index = archives.find(archive, state.pending)
        probability = archive.values.probability[index]
        known, probability = (each.reshape(-1, self.sides) for each in (known, probability))
        worth = probability[:, 0] if self.sides == 1 else probability[:, 0] + 1 - probability[:, 1]
        is_known = jnp.all(known, axis=1) & state.tried
        worth = jnp.where(is_known & jnp.isfinite(worth), worth, -jnp.inf)
        is_whole = state.generation == 0
        is_complete = jnp.all(is_known | ~state.tried) & ~is_whole
        updated = dataclasses.replace(
            state,
            archive=archive,
            new=jnp.zeros_like(state.new),
            spent=state.spent + jnp.sum(state.new, dtype=jnp.int32),
            generation=state.generation + 1,
            worth=jnp.where(is_known & ~state.tries_back, worth, state.worth),
            best=jnp.where(is_complete & ~state.tries_back, jnp.max(worth), state.best),
        )
        updated = self.place(updated, worth, is_complete)
        is_last = jnp.sum(updated.is_left, dtype=jnp.int32) == 1
        updated = updated.place_front(jnp.argmax(updated.is_left).astype(jnp.int32), is_last & is_complete)
        reason = jnp.where(is_complete | is_whole, RUNNING, SPENT)
        reason = jnp.where(jnp.any(updated.is_left), reason, GENERATION_LIMIT).astype(jnp.int32)
        updated = dataclasses.replace(updated, stop_reason=reason)
        running = state.stop_reason == RUNNING
        return jax.tree.map(lambda after, before: jnp.where(running, after, before), updated, state)

    def result(
        self, state: OrderingState, segments: jax.Array, targets: Targets, merged: jax.Array, index: jax.Array
    ) -> Explanation:
        """See `SearchingMethod.result`."""
        archive = state.archive
        evaluated = archives.is_known(archive)
        finite = evaluated & jnp.isfinite(archive.values.log_odds)
        masks = finite.at[0].set(False)  # the whole image is no mask
        works = finite[0] & jnp.any(masks)
        least = log_odds_of_share(archive.values.log_odds[0], self.keep)
        best, is_kept = pick_smallest(archive.values, masks, least)
        several = state.length > 1
        placed = jnp.arange(len(state.position)) < state.length
        share = (state.length - state.order).astype(jnp.float32) / state.length.astype(jnp.float32)
        score = jnp.where(placed, share, 0)
        at = functools.partial(jax.tree.map, lambda leaf: leaf[best])
        return conclude(
            works,
            jax.tree.map(lambda leaf: leaf[0], archive.values),
            at(archive.values),
            mask=superpixels.decode(segments, archive.genomes[best]),
            score=score[segments],
            genome=archive.genomes[best],
            targets=targets,
            image_index=index,
            evaluations=state.spent,
            holds=statuses_of(
                state.stop_reason, several=several, merged=merged, evaluated=evaluated, finite=finite, works=works
            )
            | {Status.NOT_KEPT: works & ~is_kept},
            segments=segments,
            segment_score=score,
            front=make_front(archive.genomes, archive.values, masks & works, size=min(FRONT, self.evaluations - 1)),
            generations=jnp.maximum(state.generation - 1, 0),
        )


def best_of(worth: jax.Array, tried: jax.Array) -> jax.Array:
    """Returns the tried segment of highest worth, of equal ones the first; `[]` int32."""
    return jnp.argmax(jnp.where(tried, jnp.maximum(worth, jnp.finfo(jnp.float32).min), -jnp.inf)).astype(jnp.int32)


def worst_of(worth: jax.Array, tried: jax.Array) -> jax.Array:
    """Returns the tried segment of lowest worth, of equal ones the first; `[]` int32."""
    return jnp.argmin(jnp.where(tried, worth, jnp.inf)).astype(jnp.int32)


def lowest(worth: jax.Array, among: jax.Array, count: int) -> Any:
    """Returns the `count` segments of lowest worth `among` some `[S]` bool, of equal ones the first; `[S]` bool."""
    return among & (ranked.ranks(jnp.where(among, -worth, -jnp.inf)) < count)
