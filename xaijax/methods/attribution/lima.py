"""LiMA: the order of the segments, grown from both of its ends."""

import dataclasses

import jax
import jax.numpy as jnp

from xaijax.methods.attribution.segment_ordering import OrderingState, SegmentOrdering, best_of, lowest, worst_of
from xaijax.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiMA(SegmentOrdering):
    """Grows the set S from the front of the order and the set D from its back.

    F(S) is p(S) + 1 - p(all less S). A round scores each segment a that is left by F(S + a), and moves the best to S;
    while more than `candidates` are left, those of the lowest scores are tried by F(D + a), and the lowest moves to D.
    The order is S, then D reversed; where `evaluations` end before, the rest stands between them by its last F(S + a).
    It also has the options of `SegmentOrdering`.

    Attributes:
        candidates: segments tried for the back in a round, at least 1.

    References:
        Chen et al., Less is More: Efficient Black-box Attribution via Minimal Interpretable Subset Selection (2025),
        arXiv 2504.00470.
    """

    candidates: int = option(8, at_least=1)

    def choose(self, state: OrderingState) -> jax.Array:
        """See `SegmentOrdering.choose`."""
        return state.is_left & (~state.tries_back | lowest(state.worth, state.is_left, self.candidates))

    def place(self, state: OrderingState, worth: jax.Array, holds: jax.Array) -> OrderingState:
        """See `SegmentOrdering.place`."""
        tried_back = state.tries_back
        state = state.place_front(best_of(worth, state.tried), holds & ~tried_back)
        state = state.place_back(worst_of(worth, state.tried), holds & tried_back)
        enough = jnp.sum(state.is_left, dtype=jnp.int32) > self.candidates
        return dataclasses.replace(state, tries_back=jnp.where(holds, ~tried_back & enough, tried_back))
