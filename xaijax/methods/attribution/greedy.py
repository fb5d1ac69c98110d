"""Greedy ordering: the segment that adds most to what is kept, again and again."""

import dataclasses

import jax

from xaijax.methods.attribution.segment_ordering import OrderingState, SegmentOrdering, best_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Greedy(SegmentOrdering):
    """Grows the kept set S by the segment a with the largest F(S + a), until the order is whole.

    For n segments, at least 3, that takes n (n + 1) - 5 evaluations with both sides, and n (n + 1) / 2 with one; where
    `evaluations` allow fewer, the rest follows by its last F. It also has the options of `SegmentOrdering`.

    Attributes:
        two_sided: whether F(S) is p(S) + 1 - p(all less S), that S suffices and is necessary; otherwise it is p(S).

    References:
        Chen et al., Less is More: Fewer Interpretable Region via Submodular Subset Selection (2024), arXiv 2402.09164,
        whose two confidence terms F is.
    """

    two_sided: bool = True

    @property
    def sides(self) -> int:
        """See `SegmentOrdering.sides`."""
        return 2 if self.two_sided else 1

    def choose(self, state: OrderingState) -> jax.Array:
        """See `SegmentOrdering.choose`."""
        return state.is_left

    def place(self, state: OrderingState, worth: jax.Array, holds: jax.Array) -> OrderingState:
        """See `SegmentOrdering.place`."""
        return state.place_front(best_of(worth, state.tried), holds)
