"""The explanations of a run, judged under several fills: figures of every image, their means, and the transfer."""

import dataclasses
from typing import Any

import numpy as np

from xaijax.classifier import Classifier
from xaijax.metrics.judging import ELSEWHERE, judge, judging_fills, transfer
from xaijax.metrics.suite import ExplainedImage
from xaijax.metrics.summary import Summary, summarise

BETTER = {"insertion": "higher", "deletion": "lower", "smallest_area": "lower", "holds": "higher"}
"""What is judged under every fill, and whether a higher or a lower mean is better.

A mask holds where it keeps 0.9 of the probability, or where its removal takes 0.9 in the deletion game.
"""

Figures = dict[str, dict[str, np.ndarray]]
"""By fill and metric, `[B]` float64; NaN where nothing is known."""


def judge_explanations(
    classifier: Classifier, batch: list[ExplainedImage], *, fills: tuple[str, ...], steps: int
) -> Figures:
    """Judges a batch of explanations.

    Args:
        classifier: the one explained.
        batch: explanations of images of one size.
        fills: see `xaijax.metrics.judging_fills`.
        steps: of the insertion and deletion curves, at least 1.
    """
    images = np.stack([item.pixels for item in batch])
    scores = np.stack([item.score for item in batch])
    removes = np.array([item.removes for item in batch])
    kept = np.stack([item.mask for item in batch]) != removes[:, None, None]
    targets = np.array([item.target for item in batch])
    others = np.stack([item.pixels if item.elsewhere is None else item.elsewhere for item in batch])
    found: Figures = {}
    for name in fills:
        filled = judging_fills(name, images, mean=classifier.mean, elsewhere=others)
        judged = judge(classifier, images, scores, kept, targets, fills=filled, steps=steps)
        figures: dict[str, Any] = {metric: getattr(judged, metric) for metric in BETTER if metric != "holds"}
        figures["holds"] = np.where(removes, judged.loses(), judged.keeps())
        known = np.array([name != ELSEWHERE or item.elsewhere is not None for item in batch])
        found[name] = {metric: np.where(known, values, np.nan) for metric, values in figures.items()}
    return found


@dataclasses.dataclass(frozen=True)
class JudgedRun:
    """What a run is worth under several fills.

    Attributes:
        figures: by fill and metric, one per explanation.
        searched: the fill of the search; None where it had none that could be made again.
    """

    figures: Figures
    searched: str | None

    @property
    def fills(self) -> tuple[str, ...]:
        """The fills that say something of an explanation."""
        return tuple(name for name in self.figures if not np.isnan(self.figures[name]["insertion"]).all())

    @property
    def transfer(self) -> np.ndarray:
        """See `xaijax.metrics.transfer`, one per explanation."""
        return transfer({name: self.figures[name]["holds"] for name in self.fills}, self.searched)

    def mean(self, metric: str) -> np.ndarray:
        """Returns the mean of a metric over the fills, one per explanation; NaN where a fill says nothing."""
        return np.mean([self.figures[name][metric] for name in self.fills], axis=0)

    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Returns the means over explanations with their intervals, by fill and metric; last those of the mean fill."""
        told = {name: {metric: summarise(self.figures[name][metric]) for metric in BETTER} for name in self.fills}
        return told | {"mean": {metric: summarise(self.mean(metric)) for metric in BETTER}}
