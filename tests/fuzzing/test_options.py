"""The options of every method, with whatever a person may put in: an object, or a sentence that names the option."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing.readers import check_sentence
from xaijax import SLIC, Grid, Quickshift, Stage
from xaijax.methods.registry import METHODS

NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([0.0, 0.5, 1.0, -1.0, 1e308, 1e-308, math.inf, -math.inf, math.nan, 2**63, -(2**70), 1 << 31]),
    st.floats(allow_nan=True),
)
WORDS = st.one_of(
    st.sampled_from(
        ["blur", "black+blur", "#ff0000", "#ff", "", "+", "pareto", "grid", "both", "uniform", "\x1b[2J", "ü"]
    ),
    st.text(max_size=6),
)
OBJECTS = st.sampled_from([None, True, False, (), [], {}, (1, 2), ("a",), b"x", len, object, Grid(), [[1]], print, 1j])
VALUES = st.one_of(NUMBERS, WORDS, OBJECTS)
KINDS = {**METHODS, "grid": Grid, "slic": SLIC, "quickshift": Quickshift, "stage": Stage}


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_options_are_taken_or_refused_in_a_sentence(name, data):
    fields = [field.name for field in dataclasses.fields(KINDS[name])]
    required = {field.name for field in dataclasses.fields(KINDS[name]) if field.default is dataclasses.MISSING}
    chosen = {*data.draw(st.lists(st.sampled_from(fields), max_size=3)), *required}
    options = {field: data.draw(VALUES, label=field) for field in sorted(chosen)}
    try:
        made, refused = KINDS[name](**options), ""
    except ValueError as error:
        made, refused = None, str(error)
    if refused:
        check_sentence(refused)
        assert not chosen or any(field in refused for field in chosen), refused
    else:
        assert hash(made) == hash(KINDS[name](**options)), "programs are found by it"
