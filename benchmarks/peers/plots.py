"""Quality against passes, and against seconds; needs matplotlib."""

from pathlib import Path
from typing import Any

from benchmarks.peers.figures import MEAN, METRICS, Figures
from benchmarks.peers.own import ELIME

DRAWN = ("insertion", "deletion", "area")


def draw(figures: Figures, path: Path) -> None:
    """Draws a panel a metric, above against passes and below against seconds: ELIME's budgets as a line."""
    import matplotlib.pyplot as plt

    sheet, axes = plt.subplots(2, len(DRAWN), figsize=(16, 10), layout="constrained")
    costs = {"passes an image": figures.passes, "seconds an image": figures.seconds}
    for row, (label, cost) in zip(axes, costs.items(), strict=True):
        for axis, metric in zip(row, DRAWN, strict=True):
            _panel(axis, figures, metric, cost)
            axis.set(xscale="log", xlabel=label, title=METRICS[metric][0])
            axis.get_xaxis().set_major_formatter("{x:g}")
            axis.get_xaxis().set_minor_formatter(plt.NullFormatter())
            axis.grid(alpha=0.3)
    handles, labels = axes[0][0].get_legend_handles_labels()
    sheet.legend(handles, labels, loc="outside lower center", ncols=5)
    sheet.savefig(path, dpi=110)
    plt.close(sheet)


def _panel(axis: Any, figures: Figures, metric: str, cost: Any) -> None:
    for method in dict.fromkeys(method for method, _ in figures.lines):
        lines = [line for line in figures.lines if line[0] == method]
        means = [figures.entry(line)[MEAN][metric] for line in lines]
        style = {"color": "black", "linewidth": 2, "zorder": 3} if method == ELIME else {"alpha": 0.8}
        axis.errorbar(
            [cost(line) for line in lines],
            [mean for mean, _, _ in means],
            yerr=[[mean - low for mean, low, _ in means], [high - mean for mean, _, high in means]],
            marker="s" if figures.is_peer(lines[0]) else "o",
            capsize=2,
            elinewidth=0.7,
            label=method,
            **style,
        )
