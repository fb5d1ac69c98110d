"""LiMA against its definition, on random set functions."""

import jax
import numpy as np
import pytest

from tests.methods.attribution.set_functions import GRID, SEGMENTS, set_functions
from tests.methods.attribution.test_greedy import WHOLE, orders, worth
from xaijax import LiMA, explain

pytestmark = pytest.mark.quick_compile


def lima(probability, budget, candidates):
    """The definition: the order from both of its ends, and the passes, of which none is paid twice."""
    front, back, last, known = [], [], np.full(SEGMENTS, -np.inf), {WHOLE}

    def tried(members, segments):
        kept = [sum(1 << each for each in [*members, a]) for a in segments]
        sides = {*kept, *(WHOLE & ~mask for mask in kept)}
        if len(known | sides) > budget:
            return None
        known.update(sides)
        return {a: worth(probability, mask, two_sided=True) for a, mask in zip(segments, kept, strict=True)}

    def left():
        return [a for a in range(SEGMENTS) if a not in front and a not in back]

    while len(left()) > 1 and (found := tried(front, left())) is not None:
        last[list(found)] = list(found.values())
        front.append(max(found, key=found.get))
        if len(left()) > candidates:
            lowest = sorted(left(), key=lambda a: last[a])[:candidates]
            if (found := tried(back, lowest)) is None:
                break
            back.append(min(found, key=found.get))
    return [*front, *sorted(left(), key=lambda a: -last[a]), *reversed(back)], len(known)


@pytest.mark.parametrize(("budget", "candidates"), [(1000, 8), (1000, 3), (60, 8), (90, 8), (150, 3)])
def test_the_order_is_that_of_the_definition(budget, candidates):
    images, classifier, probability = set_functions(5, seed=1)
    method = LiMA(evaluations=budget, candidates=candidates, segmentation=GRID, fill="black", max_segments=32)
    result = jax.device_get(explain(jax.random.key(0), classifier, images, [0] * 5, method=method))
    for row in range(5):
        order, passes = lima(probability[row], budget, candidates)
        assert orders(result)[row].tolist() == order
        assert result.evaluations[row] == passes


def test_it_costs_less_than_a_greedy_order():
    _, _, probability = set_functions(1, seed=1)
    _, passes = lima(probability[0], 1000, 8)
    assert passes < SEGMENTS * (SEGMENTS + 1) - 5
