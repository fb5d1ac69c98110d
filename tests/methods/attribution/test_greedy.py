"""Greedy ordering against its definition, on random set functions."""

import jax
import numpy as np
import pytest

from tests.methods.attribution.set_functions import GRID, SEGMENTS, set_functions
from xaijax import Greedy, explain

pytestmark = pytest.mark.quick_compile

WHOLE = 2**SEGMENTS - 1
TOTAL = {True: SEGMENTS * (SEGMENTS + 1) - 5, False: SEGMENTS * (SEGMENTS + 1) // 2}
"""Passes of a whole order, with both sides and with one, the whole image's included; as the docstring has it."""


def worth(probability, kept, two_sided):
    return probability[kept] + (1 - probability[WHOLE & ~kept] if two_sided else 0)


def greedy(probability, budget, two_sided):
    """The definition: the order, and the passes, of which none is paid twice."""
    order, last, known = [], np.full(SEGMENTS, -np.inf), {WHOLE}
    while len(order) < SEGMENTS - 1:
        kept = sum(1 << segment for segment in order)
        tried = [segment for segment in range(SEGMENTS) if segment not in order]
        sides = {kept | 1 << a for a in tried} | ({WHOLE & ~(kept | 1 << a) for a in tried} if two_sided else set())
        if len(known | sides) > budget:
            break
        known |= sides
        for a in tried:
            last[a] = worth(probability, kept | 1 << a, two_sided)
        order.append(max(tried, key=lambda a: last[a]))
    rest = [segment for segment in range(SEGMENTS) if segment not in order]
    return order + sorted(rest, key=lambda a: -last[a]), len(known), known - {WHOLE}


def orders(result):
    return np.argsort(-result.segment_score[:, :SEGMENTS], axis=1, kind="stable")


@pytest.mark.parametrize("two_sided", [True, False], ids=["two-sided", "one-sided"])
@pytest.mark.parametrize("budget", [40, 150, 1000])
def test_the_order_is_that_of_the_definition(two_sided, budget):
    images, classifier, probability = set_functions(5)
    method = Greedy(evaluations=budget, two_sided=two_sided, segmentation=GRID, fill="black", max_segments=32)
    result = jax.device_get(explain(jax.random.key(0), classifier, images, [0] * 5, method=method))
    for row in range(5):
        order, passes, known = greedy(probability[row], budget, two_sided)
        assert orders(result)[row].tolist() == order
        assert result.evaluations[row] == passes
        ended = "spent its evaluations" if len(known) < TOTAL[two_sided] - 1 else "last generation"
        assert ended in result.status_message(row)
        kept = [mask for mask in known if probability[row, mask] >= 0.9 * probability[row, WHOLE]]
        fewest = min(bin(mask).count("1") for mask in kept)
        assert result.area[row] == fewest / SEGMENTS
        assert result.probability[row] >= 0.9 * result.original_probability[row]


@pytest.mark.parametrize("two_sided", [True, False], ids=["two-sided", "one-sided"])
def test_the_passes_are_those_that_the_docstring_tells(two_sided):
    images, classifier, _ = set_functions(1)
    method = Greedy(two_sided=two_sided, segmentation=GRID, fill="black", max_segments=32)
    assert explain(jax.random.key(0), classifier, images, [0], method=method).evaluations[0] == TOTAL[two_sided]


def test_a_first_round_that_is_too_long_tries_the_first_segments():
    images, classifier, probability = set_functions(1)
    method = Greedy(evaluations=12, segmentation=GRID, fill="black", max_segments=32)
    result = jax.device_get(explain(jax.random.key(0), classifier, images, [0], method=method))
    first = sorted(range(5), key=lambda a: -worth(probability[0], 1 << a, two_sided=True))
    assert orders(result)[0].tolist() == [*first, *range(5, SEGMENTS)]
    assert result.evaluations[0] == 11  # a twelfth would look at one side alone
