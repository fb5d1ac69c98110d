"""The class to explain, as a person names it."""

import re

import pytest

from xaijax import Classifier
from xaijax.runtime.targets import find_against, find_target

LABELS = ("Tabby Cat", "crane", "beagle", "Crane", "straße")
NAMED = Classifier.from_function(max, None, num_classes=5, labels=LABELS)
NAMELESS = Classifier.from_function(max, None, num_classes=5)


@pytest.mark.parametrize(
    ("target", "number"),
    [("predicted", -1), ("0", 0), ("4", 4), ("tabby cat", 0), ("BEAGLE", 2), ("STRASSE", 4)],
)
def test_a_class_by_number_or_name(target, number):
    assert find_target(target, NAMED) == number


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("5", "target 5 is not a class of this classifier, which has 5 (0 to 4)."),
        ("-1", "target -1 is not a class of this classifier, which has 5 (0 to 4)."),
        ("crane", "target 'crane' names classes 1, 3; give one of these numbers."),
        ("beagel", "target 'beagel' is not a class of this classifier; did you mean beagle?"),
        ("zebra fish", "target 'zebra fish' is not a class of this classifier; give a class's label or number."),
        ("--2", "target '--2' is not a class of this classifier; give a class's label or number."),
        ("²", "target '²' is not a class of this classifier; give a class's label or number."),
        ("", "target '' is not a class of this classifier; give a class's label or number."),
    ],
)
def test_what_is_no_class_is_refused_with_a_remedy(target, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        find_target(target, NAMED)


def test_a_name_needs_labels():
    assert find_target("3", NAMELESS) == 3
    with pytest.raises(ValueError, match="the classifier has no labels; give a number, or labels"):
        find_target("beagle", NAMELESS)


def test_the_most_probable_classes_are_asked_for_by_number():
    assert find_target("top3", NAMED) == "top3"
    for wrong in ("top0", "top6"):
        with pytest.raises(ValueError, match=f"target '{wrong}' must be top1 to top5"):
            find_target(wrong, NAMED)


def test_what_a_class_is_told_from():
    assert find_against("others", NAMED) is None
    assert find_against("runner-up", NAMED) == "runner-up"
    assert find_against("beagle", NAMED) == 2
    with pytest.raises(ValueError, match="against 'beagel' is not a class of this classifier; did you mean beagle"):
        find_against("beagel", NAMED)
