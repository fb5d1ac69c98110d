"""What an evaluation found, as text and as `metrics.json` has it."""

import dataclasses
from typing import Any

import numpy as np

from xaijax.metrics import Summary, judged_run, summarise
from xaijax.metrics.judged_run import JudgedRun
from xaijax.metrics.suite import BETTER, ExplainedImage
from xaijax.report.table import text_table


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        summaries: of each metric that says something of an image.
        figures: of each metric, one per explanation that was evaluated.
        judged: these explanations under every judging fill.
        fill: what stood where the masks were 0, for the metrics that are not judged.
        evaluated: the explanations, without their arrays.
        skipped: path of each explanation that was not evaluated, and why.
    """

    summaries: dict[str, Summary]
    figures: dict[str, np.ndarray]
    judged: JudgedRun
    fill: str
    evaluated: list[ExplainedImage]
    skipped: list[tuple[str, str]]

    def as_text(self) -> str:
        """Returns two tables: of each metric the mean, its 95% interval and what is better; and every judging fill."""
        header = ("metric", "mean", "95% interval", "better", "images")
        lines = [
            (name, f"{s.mean:.3f}", f"{s.low:.3f} to {s.high:.3f}", BETTER[name], str(s.images))
            for name, s in self.summaries.items()
        ]
        count = len(self.evaluated)
        summary = f"{count} of {count + len(self.skipped)} images evaluated; the masks' fill is {self.fill}"
        return f"{text_table(header, lines)}\n{summary}\n\n{self._judged_text()}"

    def _judged_text(self) -> str:
        header = ("judged by", *(f"{metric} ({better})" for metric, better in judged_run.BETTER.items()))
        summaries = self.judged.summaries().items()
        lines = [(name, *(_interval(own[metric]) for metric in judged_run.BETTER)) for name, own in summaries]
        told = summarise(self.judged.transfer)
        searched = "" if self.judged.searched is None else f", {self.judged.searched}"
        sentence = (
            f"transfer {_interval(told)}: share of masks that hold under fills other than the search's{searched}"
            if told.images
            else "transfer is not known: no fill but that of the search judged"
        )
        return f"{text_table(header, lines)}\n{sentence}"

    def as_record(self) -> dict[str, Any]:
        """Returns the figures, over all images and of each, as JSON can hold them."""
        judged, transfer = self.judged, self.judged.transfer
        return {
            "metrics": {name: {"better": BETTER[name], **vars(summary)} for name, summary in self.summaries.items()},
            "judged": {
                "searched": judged.searched,
                "fills": {
                    name: {metric: {"better": judged_run.BETTER[metric], **vars(own[metric])} for metric in own}
                    for name, own in judged.summaries().items()
                },
                "transfer": {"better": "higher"} | {name: _number(v) for name, v in vars(summarise(transfer)).items()},
            },
            "images": [
                {"path": item.path, "target": item.target}
                | {name: _number(self.figures[name][index]) for name in self.summaries}
                | {"judged": self._judged_image(index), "transfer": _number(transfer[index])}
                for index, item in enumerate(self.evaluated)
            ],
            "skipped": [{"path": path, "error": error} for path, error in self.skipped],
        }

    def _judged_image(self, index: int) -> dict[str, Any]:
        figures, fills = self.judged.figures, self.judged.fills
        return {name: {metric: _number(values[index]) for metric, values in figures[name].items()} for name in fills}


def _interval(summary: Summary) -> str:
    return f"{summary.mean:.3f} ({summary.low:.3f} to {summary.high:.3f})"


def _number(value: float) -> float | None:
    """Returns a figure as JSON has it: there is no NaN."""
    return None if np.isnan(value) else round(float(value), 6)
