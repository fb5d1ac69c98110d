"""The words of a result."""

import dataclasses
import pickle
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


def test_the_statuses_keep_their_names_and_codes():
    assert [(status.name, int(status)) for status in Status] == [
        ("SPENT", 1),
        ("ENDED", 2),
        ("EXHAUSTED", 4),
        ("MERGED", 8),
        ("WEAKER", 16),
        ("ONE_SEGMENT", 32),
        ("NOT_FINITE", 64),
        ("SOME_NOT_FINITE", 128),
        ("STALLED", 256),
        ("REACHED", 512),
        ("NOT_KEPT", 1024),
        ("NO_MASK", 2048),
        ("STILL_SEEN", 4096),
        ("BY_PROBABILITY", 8192),
        ("UNSEPARATED", 16384),
        ("CONVERGED", 32768),
    ]
    assert Status(1 | 1024) == Status.SPENT | Status.NOT_KEPT
    assert pickle.loads(pickle.dumps(Status.SPENT | Status.MERGED)) == Status.SPENT | Status.MERGED


def test_an_explanation_states_why_the_search_of_each_row_ended():
    fields = {field.name: np.zeros(3) for field in dataclasses.fields(Explanation)}
    explanation = Explanation(**(fields | {"status": np.array([1, 0, 1 | 16], np.int32)}))
    assert explanation.status_message(0) == "The search spent its evaluations."
    assert explanation.status_message(1) == "The search has not ended."
    assert explanation.status_message(2) == (
        "The search spent its evaluations. No mask was worth as much as the whole image; the best mask found is given."
    )
    assert explanation.status_message(-1) == explanation.status_message(2)


def test_an_explanation_is_a_pytree_of_rows():
    fields = {field.name: np.arange(3) for field in dataclasses.fields(Explanation)}
    explanation = Explanation(**(fields | {"segments": None, "segment_score": None}))
    row = jax.tree.map(lambda leaf: leaf[1], explanation)
    assert isinstance(row, Explanation)
    assert row.segments is None
    assert {getattr(row, name) for name in fields if name not in ("segments", "segment_score")} == {1}
