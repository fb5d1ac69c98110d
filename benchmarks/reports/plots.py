"""A figure and its words for each kind of record; needs matplotlib."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.reports import budget_plot
from benchmarks.speed.start_up import MOST_SECONDS, PARTS
from benchmarks.speed.whole_run import LEAST_SHARE, MOST_GROWTH

Record = dict[str, Any]
Drawn = tuple[Figure, list[str]]
"""A figure, and sentences that say what it shows."""

BLUE, ORANGE, GREY = "#2b6cb0", "#c05621", "#a0aec0"
AXES = {
    "batch": "images a batch",
    "evaluations": "evaluations an image",
    "micro_batch": "micro-batch",
    "count": "images",
    "devices": "devices",
    "dtype": "type",
    "model": "model",
}
"""Of the throughput, with what each is called."""


def draw_throughput(record: Record) -> Drawn:
    """Evaluations a second along each axis with the share of the bare rate on each bar, and where the time goes."""
    rows = [row for row in record["rows"] if "error" not in row]
    base = next(row for row in rows if row["axis"] == "base")
    moved = [axis for axis in AXES if any(row["axis"] == axis for row in rows)] or ["batch"]
    figure = plt.figure(figsize=(2.6 * len(moved) + 1, 5.0), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(3, 1.4))
    panels = above.subplots(1, len(moved), sharey=True, squeeze=False)
    for panel, axis in zip(panels[0], moved, strict=True):
        name = "images" if axis == "count" else axis
        own = [base, *(row for row in rows if row["axis"] == axis)]
        own.sort(key=lambda row: (isinstance(row[name], str), row[name]))
        places = range(len(own))
        colours = [ORANGE if row is base else BLUE for row in own]
        bars = panel.bar(places, [row["evaluations_per_s"] for row in own], color=colours)
        panel.bar_label(bars, [f"{row['share_of_bare']:.2f}" for row in own], fontsize=8)
        panel.set_xticks(places, [str(row[name]) for row in own], fontsize=8)
        panel.set_xlabel(AXES[axis])
    above.supylabel("evaluations a second")
    _draw_time(below.subplots(), record["time"])
    said = [
        "On the bars stands the share of the bare forward rate; where the others are measured is orange: "
        f"{base['model']}, {base['dtype']}, batches of {base['batch']}, devices {base['devices']}, "
        f"{base['evaluations']} evaluations, micro-batch {base['micro_batch']}: "
        f"{base['images_per_s']:.2f} images a second."
    ]
    if base["share_of_matrix_product"] is not None:
        said.append(
            f"That is {base['flops_per_s'] / 1e9:.1f} GFLOP/s, {base['share_of_matrix_product']:.0%} of the "
            f"{base['matrix_product_flops_per_s'] / 1e9:.1f} GFLOP/s that the devices do of matrix products."
        )
    time = record["time"]
    parts = ", ".join(f"{part} {seconds / time['command_s']:.1%}" for part, seconds in time["parts"].items())
    said.append(f"There `xaijax explain` takes {1e3 * time['command_s']:.0f} ms an image: {parts}.")
    failed = [f"{AXES[row['axis']]}: {row['error']}" for row in record["rows"] if "error" in row]
    return figure, said + failed


def _draw_time(panel: Axes, time: Record) -> None:
    """Draws where the seconds of an image go, one behind the other."""
    left = 0.0
    for (part, seconds), colour in zip(time["parts"].items(), (BLUE, "#2f855a", ORANGE, GREY, "#718096"), strict=True):
        width = max(0.0, 1e3 * seconds)
        panel.barh([""], [width], left=left, color=colour, label=part)
        left += width
    panel.set_xlabel("milliseconds an image")
    panel.legend(ncols=5, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)


def draw_whole_run(record: Record) -> Drawn:
    """Memory and images done over the time of the run."""
    samples, rate, memory = record["samples"], record["rate"], record["memory"]
    figure, panel = plt.subplots(figsize=(8, 3.4), layout="constrained")
    panel.plot(samples["seconds"], samples["resident_mib"], color=BLUE)
    panel.set(xlabel="seconds", ylabel="resident memory, MiB", ylim=(0, None))
    done = panel.twinx()
    done.plot(samples["seconds"], samples["images"], color=ORANGE)
    done.set(ylabel="images done", ylim=(0, None))
    panel.yaxis.label.set_color(BLUE)
    done.yaxis.label.set_color(ORANGE)
    said = [
        f"{record['images']} images at {rate['command']['images_per_s']:.2f} a second: "
        f"{rate['share_of_kernel']:.3f} of the kernel's rate (the bar is {LEAST_SHARE})."
    ]
    if "second_half_over_first" in memory:
        growth = memory["second_half_over_first"]
        said.append(f"Peak memory of the second half over that of the first: {growth:.3f} (at most {MOST_GROWTH}).")
    return figure, said


def draw_scaling(record: Record) -> Drawn:
    """Evaluations of each process, and the seconds of each run."""
    rows = record["rows"]
    names = [_run_name(row) for row in rows]
    figure, (work, time) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    for place, row in enumerate(rows):
        bottom = 0
        for number, each in enumerate(row["of_each"]):
            done = each.get("evaluations", 0)
            work.bar(place, done, bottom=bottom, color=(BLUE, ORANGE)[number % 2], edgecolor="white")
            bottom += done
    work.set(ylabel="evaluations, a colour a process")
    time.bar(range(len(rows)), [row["seconds"] for row in rows], color=BLUE)
    time.set(ylabel="seconds, start and compilation included")
    for panel in (work, time):
        panel.set_xticks(range(len(rows)), names, fontsize=8, rotation=30, ha="right")
    lines, masks, scores = (sum(row[f"differing_{kind}"] for row in rows) for kind in ("rows", "masks", "scores"))
    total = sum(row["rows"] for row in rows)
    return figure, [
        f"Of {total} results, {lines} lines, {masks} masks and {scores} score maps differ from the first run's."
    ]


def _run_name(row: Record) -> str:
    count, what = (row["devices"], "device") if "devices" in row else (row["processes"], "process")
    plural = "es" if what == "process" else "s"
    return f"{count} {what}{plural if count > 1 else ''}"


def draw_start_up(record: Record) -> Drawn:
    """Where the seconds of a start go."""
    figure, panel = plt.subplots(figsize=(8, 2.8), layout="constrained")
    parts = dict(zip(PARTS[1:], (GREY, ORANGE, BLUE, "#718096"), strict=True))
    starts = record["starts"]
    left = [0.0] * len(starts)
    for part, colour in parts.items():
        seconds = [max(0.0, each[part]) for each in starts.values()]
        panel.barh(range(len(starts)), seconds, left=left, color=colour, label=part.removesuffix("_s"))
        left = [before + more for before, more in zip(left, seconds, strict=True)]
    panel.axvline(MOST_SECONDS, color="black", linestyle=":", linewidth=1)
    panel.set_yticks(range(len(starts)), starts)
    panel.invert_yaxis()
    panel.set_xlabel("seconds")
    panel.legend(ncols=4, fontsize=8, loc="upper right", bbox_to_anchor=(1, 1.2), frameon=False)
    second = starts["second start"]["total_s"]
    return figure, [f"The second start takes {second:.1f} s; the dotted line is its bar, {MOST_SECONDS:.0f} s."]


def draw_gpu(record: Record) -> Drawn:
    """The search's rate, the models' forward passes and the segmentations, as far as they were measured."""
    search, passes, cuts = (record.get(name, {}) for name in ("search", "forward", "segmentation"))
    panels: list[tuple[str, list[str], list[float], list[str]]] = []
    notes = [f"{name}: {part['note']}." for name, part in record.items() if isinstance(part, dict) and "note" in part]
    said: list[str] = []
    if "rows" in search:
        rows = search["rows"]
        models = [row.get("model", search.get("model")) for row in rows]
        names = [f"{model}, {row['evaluations']} evaluations" for model, row in zip(models, rows, strict=True)]
        shares = [f"{row['share_of_bare']:.2f}" for row in rows]
        panels.append(
            ("images a minute, and share of the bare rate", names, _column(rows, "images_per_minute"), shares)
        )
        idle = [f"{row['idle']['idle_share']:.1%}" for row in rows if row["idle"]["idle_share"] is not None]
        said.append(f"Searches in {search['dtype']}; the device is idle for {', '.join(idle) or 'an unknown share'}.")
    if isinstance(passes, list):
        names = [row["model"] for row in passes]
        panels.append(("forward pass, ms an image", names, _column(passes, "median"), []))
    if cuts and "note" not in cuts:
        times = [ways["one by one"]["median"] for ways in cuts.values()]
        panels.append(("segmentation, ms an image", list(cuts), times, []))
    agreement = record.get("agreement", {})
    for dtype, found in agreement.items():
        if dtype != "note":
            said.append(f"{found['same_genome']:.0%} of {found['images']} images get the CPU's genome in {dtype}.")
    count = max(1, len(panels))
    size = (4.2 * count, 3.4 if panels else 0.1)
    figure, axes = plt.subplots(1, count, figsize=size, layout="constrained", squeeze=False)
    axes[0][0].axison = bool(panels)
    for axis, (title, names, heights, labels) in zip(axes[0], panels, strict=False):
        bars = axis.bar(range(len(names)), heights, color=BLUE)
        axis.bar_label(bars, labels or [f"{height:.3g}" for height in heights], fontsize=8)
        axis.set_xticks(range(len(names)), names, fontsize=8, rotation=30, ha="right")
        axis.set_title(title, fontsize=9)
    return figure, said + notes


def draw_budget_curve(record: Record) -> Drawn:
    """Quality against evaluations, a row of panels for each fill of the searches."""
    settings, entries = record["settings"], record["figures"]
    images = max(entry["images"] for entry in entries)
    return budget_plot.draw(record), [
        f"{settings['model']}, {images} photographs: maps and masks of every method, judged under "
        f"{', '.join(settings['judged_by'])} and averaged; transfer is the share of masks that keep 0.9 of the "
        "probability under fills that the search did not use."
    ]


def _column(rows: list[Record], name: str) -> list[float]:
    return [row[name] for row in rows]


DRAWERS: dict[str, tuple[str, Callable[[Record], Drawn]]] = {
    "budget_curve": ("Quality against evaluations, under every fill", draw_budget_curve),
    "throughput": ("What the kernel's rate depends on", draw_throughput),
    "whole_run": ("The whole command against its kernel", draw_whole_run),
    "scaling": ("Devices and processes", draw_scaling),
    "start_up": ("The start of the command", draw_start_up),
    "gpu": ("One device", draw_gpu),
}
"""Title and drawer of each kind of record, by how its file's name begins."""
