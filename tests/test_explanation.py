"""The words of a result."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from xaijax import Explanation
from xaijax.explanation import Status

FAILURES = {Status.ONE_SEGMENT, Status.NOT_FINITE, Status.NO_MASK}


def test_every_status_says_something_of_its_own():
    assert len({status.message for status in Status}) == len(Status)


@pytest.mark.parametrize("status", [*Status, Status(0)], ids=str)
def test_every_message_is_a_sentence(status):
    assert re.fullmatch(r"[A-Z][^.\n]*\.", status.message)


def test_a_combination_says_each_of_its_parts():
    both = Status(int(Status.SPENT | Status.MERGED | Status.WEAKER))
    assert both.message == f"{Status.SPENT.message} {Status.MERGED.message} {Status.WEAKER.message}"


@pytest.mark.parametrize("status", Status, ids=str)
def test_which_status_is_a_failure(status):
    assert status.is_failure == (status in FAILURES)
    assert (status | Status.ONE_SEGMENT).is_failure


def test_an_explanation_is_a_pytree_of_rows():
    fields = {field.name: np.arange(3) for field in dataclasses.fields(Explanation)}
    explanation = Explanation(**(fields | {"segments": None, "segment_score": None}))
    row = jax.tree.map(lambda leaf: leaf[1], explanation)
    assert isinstance(row, Explanation)
    assert row.segments is None
    assert {getattr(row, name) for name in fields if name not in ("segments", "segment_score")} == {1}
