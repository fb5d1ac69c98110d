"""Who runs when: every method on every photograph in the order A B B A, and peers in every setting on the first few."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

import xaijax
from benchmarks.peers.contest import Contestant, Subject, timed
from benchmarks.peers.journal import Journal, Row
from benchmarks.peers.judge import judge
from benchmarks.peers.options import Options


class Protocol:
    """Measures contestants on subjects, each pair once."""

    def __init__(self, classifier: xaijax.Classifier, journal: Journal, options: Options):
        self._classifier, self._journal, self._options = classifier, journal, options
        self._ready: set[tuple[str, str]] = set()

    def run(self, contestants: Sequence[Contestant], subjects: Sequence[Subject]) -> dict[str, str]:
        """Measures all that is left to measure.

        Every setting of a peer runs on the first `trials` subjects. The one whose maps are better there by insertion
        less deletion, over all fills, is the one that is quoted, and runs on the others.

        Returns:
            The setting that is quoted of each peer.
        """
        trials, others = subjects[: self._options.trials], subjects[self._options.trials :]
        self._in_turn(contestants, trials, first=0)
        quoted = choose(self._journal, contestants, [subject.name for subject in trials])
        kept = [each for each in contestants if each.side == "xaijax" or quoted[each.method] == each.setting]
        self._in_turn(kept, others, first=len(trials))
        return quoted

    def _in_turn(self, contestants: Sequence[Contestant], subjects: Sequence[Subject], *, first: int) -> None:
        for place, subject in enumerate(subjects, start=first):
            due = [each for each in contestants if not each.aside or place < self._options.aside]
            for contestant in reversed(due) if place % 4 in (1, 2) else due:
                measure = functools.partial(self._measure, contestant, subject)
                self._journal.once(measure, kind="explained", image=subject.name, **contestant.key)

    def _measure(self, contestant: Contestant, subject: Subject) -> Row:
        name = contestant.method, contestant.setting
        if name not in self._ready:
            seconds = timed(contestant.prepare, subject)[1]
            self._journal.once(lambda: {"seconds": round(seconds, 3)}, kind="first call", **contestant.key)
            self._ready.add(name)
        response: Any
        response, seconds = timed(contestant.explain, subject)
        judged = judge(self._classifier, subject, response, steps=self._options.steps, fills=self._options.judged_by)
        told: Row = {"side": contestant.side, "settings": contestant.settings, "by_gradient": contestant.by_gradient}
        told["fill"] = contestant.fill
        told |= {"seconds": round(seconds, 4), "passes": response.passes, "probability": round(subject.probability, 6)}
        if response.probability is not None:
            told["mask_probability"] = round(response.probability, 6)
        return told | judged


def choose(journal: Journal, contestants: Sequence[Contestant], images: Sequence[str]) -> dict[str, str]:
    """Returns the setting of each peer whose maps of `images` are best, of equal ones the faster."""
    found: dict[str, tuple[tuple[float, float], str]] = {}
    for each in contestants:
        if each.side == "peer":
            rows = [row for row in journal.all(kind="explained", **each.key) if row["image"] in images]
            rank = round(quality(rows), 3), -float(np.mean([row["seconds"] for row in rows]))
            found[each.method] = max(found.get(each.method, (rank, each.setting)), (rank, each.setting))
    return {method: setting for method, (_, setting) in found.items()}


def quality(rows: Sequence[Row]) -> float:
    """Returns the mean of insertion less deletion over images and fills."""
    curves = [value for row in rows for value in row.values() if isinstance(value, dict)]
    return float(np.mean([curve["insertion"] - curve["deletion"] for curve in curves]))
