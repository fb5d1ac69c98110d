"""From rows to figures: means with 95% intervals, and differences paired by image from xaijax's ELIME."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.common.compare import Values, less, mean_of, verdict
from benchmarks.common.judged import transfer_of
from benchmarks.common.record import told
from benchmarks.peers.journal import Row
from benchmarks.peers.own import ELIME

METRICS = {
    "insertion": ("insertion AUC (more is better)", 1),
    "deletion": ("deletion AUC (less)", -1),
    "area": ("area at 0.9 (less)", -1),
    "pointing": ("pointing game (more)", 1),
    "iou": ("IoU at the object's area (more)", 1),
}
"""The words for a metric, and 1 where more is better."""

MEAN = "the mean of all fills"
"""Named where a fill is, it stands for the mean over all judging fills."""


class Figures:
    """What the rows say of the methods that are quoted, one line a method and setting.

    Attributes:
        lines: `(method, setting)` of each, ours first.
        budgets: of ELIME, rising.
        fills: that maps were judged by.
    """

    def __init__(self, rows: Sequence[Row], quoted: Mapping[str, str], fills: Sequence[str]):
        self.fills = tuple(fills)
        self._rows: dict[tuple[str, str], list[Row]] = {}
        for row in sorted(rows, key=lambda row: row["side"] == "peer"):
            if quoted.get(row["method"], row["setting"]) == row["setting"]:
                self._rows.setdefault((row["method"], row["setting"]), []).append(row)
        self.budgets = sorted(int(setting) for method, setting in self._rows if method == ELIME)
        order = {name: place for place, name in enumerate(dict.fromkeys(method for method, _ in self._rows))}
        self.lines = sorted(self._rows, key=lambda line: (order[line[0]], line[1].zfill(6)))

    def rows(self, line: tuple[str, str]) -> list[Row]:
        """Returns the rows of a line."""
        return self._rows.get(line, [])

    def is_peer(self, line: tuple[str, str]) -> bool:
        """Returns whether a line is of a peer."""
        return self._rows[line][0]["side"] == "peer"

    def values(self, line: tuple[str, str], metric: str, fill: str) -> Values:
        """Returns a metric of a line by image, without the images of which it says nothing."""
        found = {row["image"]: self._value(row, metric, fill) for row in self.rows(line)}
        return {image: float(value) for image, value in found.items() if value is not None}

    def _value(self, row: Row, metric: str, fill: str) -> float | None:
        if metric in row:
            return row[metric]
        names = self.fills if fill == MEAN else (fill,)
        return float(np.mean([row[name][metric] for name in names]))

    def transfer(self, line: tuple[str, str]) -> Values:
        """Returns by image the share of the fills, that of the search left out, under which the mask keeps 0.9."""
        found = {row["image"]: transfer_of(row, self.fills, row["probability"]) for row in self.rows(line)}
        return {image: value for image, value in found.items() if value is not None}

    def mean(self, line: tuple[str, str], metric: str, fill: str) -> float:
        """Returns the mean of a metric over the images of a line; NaN where it says nothing."""
        values = list(self.values(line, metric, fill).values())
        return float(np.mean(values)) if values else np.nan

    def passes(self, line: tuple[str, str]) -> float:
        """Returns the mean passes an image."""
        return float(np.mean([row["passes"] for row in self.rows(line)]))

    def seconds(self, line: tuple[str, str]) -> float:
        """Returns the mean seconds an image."""
        return float(np.mean([row["seconds"] for row in self.rows(line)]))

    def entry(self, line: tuple[str, str]) -> dict[str, Any]:
        """Returns what there is to say of a line."""
        rows = self.rows(line)
        found: dict[str, Any] = {
            "method": line[0],
            "setting": line[1],
            "settings": rows[0]["settings"],
            "images": len(rows),
            "passes": round(self.passes(line), 1),
            "seconds": told(np.array([row["seconds"] for row in rows])),
        }
        for fill in (MEAN, *self.fills):
            found[fill] = {metric: mean_of(self.values(line, metric, fill)) for metric in METRICS}
        masks = {row["image"]: row["mask_area"] for row in rows if "mask_area" in row}
        own = {"area of its own mask": mean_of(masks), "transfer": mean_of(self.transfer(line))}
        return found | (own if masks else {})

    def compare(self, line: tuple[str, str], budget: int, fill: str) -> dict[str, Any]:
        """Returns ELIME at a budget less a line, metric by metric, and how many times faster it is."""
        ours = ELIME, str(budget)
        theirs, own = ({row["image"]: row["seconds"] for row in self.rows(each)} for each in (line, ours))
        found: dict[str, Any] = {
            "method": line[0],
            "setting": line[1],
            "budget": budget,
            "passes": [round(self.passes(line), 1), round(self.passes(ours), 1)],
            "seconds": [round(self.seconds(line), 3), round(self.seconds(ours), 3)],
            "times faster": mean_of({image: theirs[image] / own[image] for image in theirs if image in own}),
        }
        for metric, (_, sign) in METRICS.items():
            difference = less(self.values(ours, metric, fill), self.values(line, metric, fill))
            told_difference = mean_of(difference)
            said = verdict(told_difference, sign, len(difference))
            found[metric] = {"ours less theirs": told_difference, "verdict": said}
        return found

    def equal_passes(self, line: tuple[str, str]) -> int | None:
        """Returns the largest budget of ELIME that does not exceed a line's passes."""
        return max((budget for budget in self.budgets if budget <= self.passes(line) + 0.5), default=None)

    def equal_quality(self, line: tuple[str, str], fill: str) -> int | None:
        """Returns the least budget at which ELIME's means of insertion and deletion are no worse than a line's."""
        for budget in self.budgets:
            ours = ELIME, str(budget)
            more = self.mean(ours, "insertion", fill) >= self.mean(line, "insertion", fill)
            if more and self.mean(ours, "deletion", fill) <= self.mean(line, "deletion", fill):
                return budget
        return None
