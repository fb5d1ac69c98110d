"""The compiled programs of a process: found again, bounded, dropped, and what is said where that is not enough."""

import gc
import sys
import warnings
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import CLASSES, mean_logits
from xaijax import LIME, Classifier, Grid, explain
from xaijax.execution import program_store
from xaijax.execution.program_store import Programs, memory_maps

pytestmark = pytest.mark.quick_compile

ARRAY = np.arange(6, dtype=np.float32)


class Scaled:
    """A function of its own at each making, that counts how often it is traced."""

    def __init__(self):
        self.traced = 0
        self.__name__ = "scaled"

    def __call__(self, array, factor=1):
        self.traced += 1
        return jnp.sort(array) * factor


def nobody_counts():
    return None


def test_a_program_is_traced_once_for_its_function_shapes_and_static_arguments():
    programs, function = Programs(nobody_counts), Scaled()
    for _ in range(3):
        np.testing.assert_array_equal(programs(function, (ARRAY,), (2.0,)), ARRAY * 2)
    assert function.traced == 1
    programs(function, (ARRAY[:4],), (2.0,))
    programs(function, (ARRAY,), (3.0,))
    programs(function, (ARRAY.astype(np.float16),), (2.0,))
    assert function.traced == 4
    assert len(programs) == 4


def test_without_a_count_the_programs_called_longest_ago_are_dropped():
    programs, functions = Programs(nobody_counts, most=2), [Scaled() for _ in range(3)]
    for function in (functions[0], functions[1], functions[0], functions[2]):
        programs(function, (ARRAY,))
    assert len(programs) == 2
    for function in (functions[0], functions[2], functions[1]):
        programs(function, (ARRAY,))
    assert [function.traced for function in functions] == [1, 2, 1]


def test_a_dropped_program_is_forgotten():
    programs, function = Programs(nobody_counts, most=1), Scaled()
    programs(function, (ARRAY,))
    forgotten = weakref.ref(function)
    del function
    programs(Scaled(), (ARRAY,))
    gc.collect()
    assert forgotten() is None


def test_a_program_that_fails_is_not_kept():
    def fails(array):
        raise ValueError("no")

    programs = Programs(nobody_counts)
    with pytest.raises(ValueError, match="no"):
        programs(fails, (ARRAY,))
    assert len(programs) == 0


def test_programs_are_dropped_until_a_share_of_the_allowed_maps_is_left():
    programs = Programs(lambda: (1000 * len(programs), 65_530))
    functions = [Scaled() for _ in range(60)]
    for function in functions:
        programs(function, (ARRAY,))
        assert len(programs) <= 26
    programs(functions[-1], (ARRAY,))
    assert functions[-1].traced == 1


def test_one_warning_says_what_to_do_where_other_code_holds_the_maps():
    programs = Programs(lambda: (60_000, 65_530))
    with pytest.warns(UserWarning, match=r"60000 of the 65530 memory maps.*jax\.clear_caches\(\)"):
        programs(Scaled(), (ARRAY,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        programs(Scaled(), (ARRAY,))
    assert len(programs) == 1


@pytest.mark.slow
@pytest.mark.skipif(memory_maps() is None, reason="the system does not count memory maps")
def test_distinct_searches_of_one_process_hold_boundedly_many_maps(toy_classifier, toy_images, monkeypatch):
    gc.collect()
    before = memory_maps()[0]
    room = 800  # a search of this file takes some hundreds
    programs = Programs(lambda: (max(memory_maps()[0] - before, 0), int(room / program_store.KEPT_SHARE)))
    monkeypatch.setattr(sys.modules["xaijax.explain"], "call_compiled", programs)
    most, kept = 0, 0
    for number in range(8):
        classifier = Classifier.from_function(
            lambda params, images: mean_logits(params, images), toy_classifier.params, num_classes=CLASSES
        )
        method = LIME(evaluations=20 + number % 2, segmentation=Grid(4, 4), max_segments=32)
        result = explain(jax.random.key(number), classifier, toy_images[: 1 + number], method=method)
        assert np.all(np.isfinite(np.asarray(result.probability)))
        most, kept = max(most, memory_maps()[0] - before), max(kept, len(programs))
    assert most < 3 * room
    assert kept < 8
