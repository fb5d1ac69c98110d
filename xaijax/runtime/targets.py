"""The class to explain, as a person names it."""

import difflib
import re

from xaijax.classifier import Classifier


def find_target(target: str, classifier: Classifier) -> int:
    """Returns the class that `target` names: "predicted" (-1), a number, or a label in any case.

    Raises:
        ValueError: the classifier has no such class; the nearest labels are named.
    """
    if target == "predicted":
        return -1
    if re.fullmatch(r"-?\d+", target):
        number = int(target)
        if not 0 <= number < classifier.num_classes:
            raise ValueError(
                f"target {number} is not a class of this classifier, which has {classifier.num_classes} "
                f"(0 to {classifier.num_classes - 1})."
            )
        return number
    labels = [label.casefold() for label in classifier.labels]
    if not labels:
        raise ValueError(f"target {target!r} is a name but the classifier has no labels; give a number, or labels.")
    found = [index for index, label in enumerate(labels) if label == target.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"target {target!r} names classes {', '.join(map(str, found))}; give one of these numbers.")
    near = difflib.get_close_matches(target.casefold(), labels, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "give a class's label or number."
    raise ValueError(f"target {target!r} is not a class of this classifier; {hint}")
