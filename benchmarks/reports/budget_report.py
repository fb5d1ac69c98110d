"""What `budget_curve` found, as JSON, as a table and as a plot."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.record import RESULTS, write_record
from xaijax.metrics import summarise

METRICS = {
    "insertion": "insertion AUC (more is better)",
    "deletion": "deletion AUC (less)",
    "area": "area at 0.9 (less)",
}
REFERENCE = "elime"


def values(rows: list[dict[str, Any]], method: str, budget: int, metric: str) -> dict[str, float]:
    """Returns a metric of a method at a budget, by image."""
    return {row["image"]: row[metric] for row in rows if row["method"] == method and row["budget"] == budget}


def figures(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns, for each method and budget, the means with 95% intervals, and the paired differences from E-LIME."""
    found = []
    for method in dict.fromkeys(row["method"] for row in rows):
        for budget in sorted({row["budget"] for row in rows if row["method"] == method}):
            own = [row for row in rows if row["method"] == method and row["budget"] == budget]
            entry: dict[str, Any] = {
                "method": method,
                "budget": budget,
                "images": len(own),
                "evaluations": float(np.mean([row["evaluations"] for row in own])),
            }
            for metric in METRICS:
                here, there = (values(rows, name, budget, metric) for name in (method, REFERENCE))
                both = [image for image in here if image in there]
                mean = summarise(list(here.values()))
                difference = summarise([here[image] - there[image] for image in both])
                entry[metric] = _rounded(mean.mean, mean.low, mean.high)
                entry[f"{metric} less {REFERENCE}'s"] = _rounded(difference.mean, difference.low, difference.high)
            found.append(entry)
    return found


def _rounded(*numbers: float) -> list[float | None]:
    return [None if np.isnan(number) else round(number, 4) for number in numbers]


def table(entries: list[dict[str, Any]]) -> str:
    """Returns Markdown: a line a method and budget, the mean and its 95% interval for each metric."""
    lines = ["| method | evaluations | " + " | ".join(METRICS.values()) + " |", "| --- " * (2 + len(METRICS)) + "|"]
    for entry in entries:
        cells = ["{:.3f} ({:.3f} to {:.3f})".format(*entry[metric]) for metric in METRICS]
        lines.append(f"| {entry['method']} | {entry['evaluations']:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(entries: list[dict[str, Any]], path: Path) -> None:
    """Draws a panel a metric: the mean of each method against its evaluations; needs matplotlib."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(METRICS), figsize=(15, 5), layout="constrained")
    for axis, (metric, label) in zip(axes, METRICS.items(), strict=True):
        for method in dict.fromkeys(entry["method"] for entry in entries):
            own = [entry for entry in entries if entry["method"] == method]
            budgets = [entry["evaluations"] for entry in own]
            style = {"linewidth": 3, "color": "black", "zorder": 3} if method == REFERENCE else {"linewidth": 1.5}
            axis.plot(budgets, [entry[metric][0] for entry in own], marker="o", label=method, **style)
        axis.set(xscale="log", xlabel="evaluations an image", title=label)
        axis.set_xticks(sorted({entry["budget"] for entry in entries}), minor=False)
        axis.get_xaxis().set_major_formatter("{x:.0f}")
        axis.get_xaxis().set_minor_locator(plt.NullLocator())
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=110)


def write_report(stem: str, rows: list[dict[str, Any]], *, settings: dict[str, Any]) -> None:
    """Writes `STEM_PLATFORM.json`, `STEM.md` and `STEM.png` to `benchmarks/results`."""
    entries = figures(rows)
    write_record(stem, {"settings": settings, "figures": entries})
    (RESULTS / f"{stem}.md").write_text(table(entries))
    draw(entries, RESULTS / f"{stem}.png")
    print(table(entries))
