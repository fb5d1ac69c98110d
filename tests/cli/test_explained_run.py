"""Which other photograph of a run stands around a mask that is judged elsewhere."""

from xaijax.cli.explained_run import other_photographs


def rows(*pairs):
    return [
        {"target": target, "sha256": image} if target is not None else {"error": "unreadable"}
        for target, image in pairs
    ]


def test_the_next_photograph_of_another_class_is_preferred():
    found = other_photographs(rows((0, "a"), (0, "b"), (1, "c"), (2, "d"), (0, "e")), count=2)
    assert found == [[2, 3], [2, 3], [3, 4], [4, 0], [2, 3]]


def test_the_same_photograph_is_no_other_one_whatever_its_class():
    found = other_photographs(rows((0, "a"), (1, "a"), (2, "a"), (3, "b")), count=1)
    assert found == [[3], [3], [3], [0]]


def test_of_one_class_the_next_photograph_will_do():
    assert other_photographs(rows((5, "a"), (5, "b"), (5, "c")), count=1) == [[1], [2], [0]]


def test_what_was_not_explained_is_shown_to_none():
    assert other_photographs(rows((0, "a"), (None, ""), (1, "b")), count=1) == [[2], [], [0]]


def test_a_single_photograph_has_no_other():
    assert other_photographs(rows((0, "a"), (1, "a"))) == [[], []]
    assert other_photographs([]) == []
