"""Resolves the classes to explain from what users write: numbers, labels, "predicted" or "topK"."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from xaijax.classifier import Classifier
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.output.journal import Journal
from xaijax.target_words import parse_top


def find_target(target: str, classifier: Classifier) -> int | str:
    """Resolves a target: "predicted" to -1, "top3" (any number) to itself, a number or label as `find_class` does.

    Raises:
        ValueError: the classifier has no such class, or fewer classes.
    """
    if target == "predicted":
        return -1
    top = parse_top(target)
    if top is None:
        return find_class(target, classifier)
    if not 1 <= top <= classifier.num_classes:
        raise ValueError(f"target {target!r} must be top1 to top{classifier.num_classes}, the classes there are.")
    return target


def find_against(against: str, classifier: Classifier) -> int | str | None:
    """Resolves a contrast: "others" to None, "runner-up" to itself, a number or label as `find_class` does.

    Raises:
        ValueError: the classifier has no such class.
    """
    if against == "others":
        return None
    return against if against == "runner-up" else find_class(against, classifier, name="against")


def find_class(target: str, classifier: Classifier, *, name: str = "target") -> int:
    """Returns the class with a number, or with a label in upper or lower case.

    Args:
        target: number or label.
        classifier: whose classes they are.
        name: of the option, for messages.

    Raises:
        ValueError: the classifier has no such class; the message names the nearest labels.
    """
    if re.fullmatch(r"-?\d+", target):
        number = int(target)
        if not 0 <= number < classifier.num_classes:
            raise ValueError(
                f"{name} {number} is not a class of this classifier, which has {classifier.num_classes} "
                f"(0 to {classifier.num_classes - 1})."
            )
        return number
    labels = [label.casefold() for label in classifier.labels]
    if not labels:
        raise ValueError(f"{name} {target!r} is a name but the classifier has no labels; give a number, or labels.")
    classes = [index for index, label in enumerate(labels) if label == target.casefold()]
    if len(classes) == 1:
        return classes[0]
    if classes:
        raise ValueError(f"{name} {target!r} names classes {', '.join(map(str, classes))}; give one of these numbers.")
    near = difflib.get_close_matches(target.casefold(), labels, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "give a class's label or number."
    raise ValueError(f"{name} {target!r} is not a class of this classifier; {hint}")


def targets_by_name(sources: Sequence[Source], job: Job) -> dict[str, int]:
    """Resolves the targets that a list of images names.

    Raises:
        ValueError: the classifier has no such class, or the job has several targets per image.
    """
    named = {source.target for source in sources if source.target is not None}
    if named and isinstance(job.target, str):
        raise ValueError(f"the list of images names targets, but target is {job.target!r}; leave one of them out.")
    return {target: find_class(target, job.classifier) for target in named}


def check_targets(sources: Sequence[Source], targets: Mapping[str, int], journal: Journal, out: Path) -> None:
    """Checks that a list of images names one target per image, the one that the folder `out` explains, if any.

    Raises:
        ValueError: it does not.
    """
    requested: dict[str, str] = {}
    for source in sources:
        if source.target is None:
            continue
        if requested.setdefault(source.name, source.target) != source.target:
            raise ValueError(f"the list asks for two classes of {source.name!r}; make two lists, each with its folder.")
        explained = journal.targets(source.name)
        if explained and targets[source.target] not in explained:
            raise ValueError(
                f"{str(out)!r} explains another class of {source.name!r} than the list asks for now; name another "
                "folder, or the same target."
            )
