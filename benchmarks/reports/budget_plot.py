"""The budget curve as a figure: a row for each fill of the searches, a panel for each metric; needs matplotlib."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {"insertion": "insertion (more is better)", "deletion": "deletion (less)", "area": "area at 0.9 (less)"}
REFERENCE = "elime"
TICKS = (10, 30, 60, 120, 250, 500, 1000, 2000)
"""Evaluations that stand at the axis."""


def draw(record: dict[str, Any]) -> "Figure":
    """Draws the means over all judging fills of every method against its evaluations, and the share that transfers."""
    import matplotlib.pyplot as plt

    entries = record["figures"]
    fills = list(dict.fromkeys(entry["fill"] for entry in entries))
    methods = list(dict.fromkeys(entry["method"] for entry in entries))
    colours = dict(zip(methods, plt.get_cmap("tab20").colors, strict=False))
    size = (4.2 * (len(PANELS) + 1), 3.6 * len(fills) + 0.6)
    figure, axes = plt.subplots(len(fills), len(PANELS) + 1, figsize=size, layout="constrained", squeeze=False)
    for row, fill in zip(axes, fills, strict=True):
        for axis, metric in zip(row, [*PANELS, "transfer"], strict=True):
            for method in methods:
                own = [entry for entry in entries if (entry["method"], entry["fill"]) == (method, fill)]
                if metric == "transfer":
                    own = [entry for entry in own if "transfer" in entry]
                values = [entry["transfer"] if metric == "transfer" else entry["all"][metric]["mean"] for entry in own]
                style = {"color": "black", "linewidth": 2.5, "zorder": 3} if method == REFERENCE else {}
                axis.plot(
                    [entry["evaluations"] for entry in own],
                    [value[0] for value in values],
                    **{"marker": "o", "markersize": 4, "color": colours[method], "label": method} | style,
                )
            axis.set(xscale="log", xlabel="evaluations an image", title=PANELS.get(metric, "transfer (more)"))
            low, high = axis.get_xlim()
            axis.set_xticks([tick for tick in TICKS if low <= tick <= high])
            axis.get_xaxis().set_major_formatter("{x:.0f}")
            axis.get_xaxis().set_minor_formatter(plt.NullFormatter())
            axis.grid(alpha=0.3)
        row[0].set_ylabel(f"searched with {fill}")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return figure
