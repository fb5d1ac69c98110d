"""Names of classes: those of ImageNet-1k, and a user's own."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path


@functools.cache
def imagenet_labels() -> tuple[str, ...]:
    """Returns the names of the 1,000 classes of ILSVRC-2012, in the order of the published networks."""
    path = Path(__file__).parent / "labels" / "imagenet1k.txt"
    return tuple(path.read_text(encoding="utf-8").splitlines())


def read_labels(labels: Sequence[str] | str | Path, num_classes: int) -> tuple[str, ...]:
    """Returns the names of classes.

    Args:
        labels: the names themselves, or a file of them: text with one name per line, or JSON with a list of names or an
            object that maps class numbers to names.
        num_classes: required number of names.

    Raises:
        ValueError: the file cannot be read, or it does not name every class.
    """
    if isinstance(labels, str | Path):
        path = Path(labels)
        try:
            text = path.read_text(encoding="utf-8")
            named = json.loads(text) if path.suffix == ".json" else text.splitlines()
            if isinstance(named, dict):
                named = [named[str(number)] for number in range(len(named))]
            if not isinstance(named, list):
                raise ValueError("neither a list nor an object")
        except (OSError, ValueError, KeyError, RecursionError) as error:
            raise ValueError(
                f"labels {path.name!r} cannot be read ({error}); write one name per line, or JSON with one name per "
                "class."
            ) from error
        labels = [str(name) for name in named]
    if len(labels) != num_classes:
        raise ValueError(f"{len(labels)} labels were given for {num_classes} classes; give a name for each, in order.")
    return tuple(labels)
