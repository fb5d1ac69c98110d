"""What `budget_curve` found, as JSON, as tables and as a plot."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.common.compare import less, mean_of, verdict
from benchmarks.common.judged import transfer_of
from benchmarks.common.record import RESULTS, write_record
from benchmarks.reports.budget_plot import draw
from xaijax.metrics.judging import SHARE

Row = dict[str, Any]

METRICS = {"insertion": 1, "deletion": -1, "area": -1}
"""What is judged under every fill, and 1 where more is better."""

WORDS = {
    "insertion": "insertion (more is better)",
    "deletion": "deletion (less)",
    "area": "area at 0.9 (less)",
    "transfer": "transfer (more), at the mean area of the masks",
}
REFERENCE = "elime"
DIFFERENCE, VERDICT = f"less {REFERENCE}'s", f"than {REFERENCE}'s"
ALL, OTHERS = "all", "others"
"""The mean over all judging fills, and over those that the search did not use."""


def of_fill(fill: str) -> Callable[[Row, str], float]:
    """Returns how to read a metric off a row: that of a judging fill, or the mean over `ALL` or `OTHERS`."""

    def read(row: Row, metric: str) -> float:
        if fill not in (ALL, OTHERS):
            return row[fill][metric]
        names = [name for name in judged_by(row) if fill == ALL or name != row["fill"]]
        return statistics.fmean(row[name][metric] for name in names)

    return read


def judged_by(row: Row) -> list[str]:
    """Returns the judging fills of a row."""
    return [name for name, value in row.items() if isinstance(value, dict)]


def figures(rows: Sequence[Row], fills: Sequence[str]) -> list[dict[str, Any]]:
    """Returns for each method, fill of the search and budget its means, and its differences from E-LIME's.

    A method whose budget E-LIME does not have is compared with E-LIME at the nearest number of evaluations. Means over
    `ALL` and `OTHERS` and differences come with 95% intervals, the latter paired by image; under a single judging fill
    there are the means.
    """
    lines: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        lines.setdefault((row["method"], row["fill"], row["budget"]), []).append(row)
    found = []
    for (method, fill, budget), own in sorted(lines.items(), key=lambda line: (line[0][1], line[0][0], line[0][2])):
        theirs = lines.get((REFERENCE, fill, budget)) or _nearest(own, lines, fill)
        entry: dict[str, Any] = {"method": method, "fill": fill, "budget": budget, "images": len(own)}
        entry["evaluations"] = round(statistics.fmean(row["evaluations"] for row in own), 1)
        for name in (ALL, OTHERS):
            others = None if method == REFERENCE else theirs
            entry[name] = {metric: _compared(own, others, name, metric, sign) for metric, sign in METRICS.items()}
        entry["by fill"] = {
            name: {metric: round(statistics.fmean(row[name][metric] for row in own), 4) for metric in METRICS}
            for name in fills
        }
        transfers = {row["image"]: transfer_of(row, judged_by(row), row["original"]) for row in own}
        if None not in transfers.values():
            entry["transfer"] = mean_of(transfers)
            entry["mask area"] = mean_of({row["image"]: row["mask_area"] for row in own})
        found.append(entry)
    return found


def _nearest(own: list[Row], lines: Mapping[tuple[str, str, int], list[Row]], fill: str) -> list[Row]:
    """Returns the rows of E-LIME whose evaluations come nearest to those of a method; none where there are none."""

    def spent(rows: list[Row]) -> float:
        return statistics.fmean(row["evaluations"] for row in rows)

    theirs = [rows for (method, other, _), rows in lines.items() if (method, other) == (REFERENCE, fill)]
    return min(theirs, key=lambda rows: abs(spent(rows) - spent(own)), default=[])


def _compared(own: list[Row], theirs: list[Row] | None, fill: str, metric: str, sign: int) -> dict[str, Any]:
    read = of_fill(fill)
    here = {row["image"]: read(row, metric) for row in own}
    if theirs is None:
        return {"mean": mean_of(here)}
    difference = less(here, {row["image"]: read(row, metric) for row in theirs})
    told = mean_of(difference)
    return {"mean": mean_of(here), DIFFERENCE: told, VERDICT: verdict(told, sign, len(difference))}


def table(entries: Iterable[dict[str, Any]], fill: str) -> str:
    """Returns Markdown of what was searched with a fill: a line for each method and budget."""
    header = ["method", "evaluations", "images"]
    for metric in METRICS:
        header += [f"{WORDS[metric]}: mean of all fills", f"under other fills, {DIFFERENCE}"]
    lines = [[*header, WORDS["transfer"]], ["---"] * (len(header) + 1)]
    for entry in entries:
        if entry["fill"] == fill:
            cells = [entry["method"], f"{entry['evaluations']:.0f}", str(entry["images"])]
            for metric in METRICS:
                compared = entry[OTHERS][metric]
                told = f"{interval(compared[DIFFERENCE])}: {compared[VERDICT]}" if VERDICT in compared else ""
                cells += [interval(entry[ALL][metric]["mean"]), told]
            lines.append([*cells, _transfer(entry, interval)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def fills_table(entries: Iterable[dict[str, Any]], fill: str, fills: Sequence[str]) -> str:
    """Returns Markdown of the means under every judging fill: insertion, deletion and area."""
    lines = [["method", "evaluations", *(f"judged by {name}" for name in fills)], ["---"] * (2 + len(fills))]
    for entry in entries:
        if entry["fill"] == fill:
            told = [", ".join(f"{entry['by fill'][name][metric]:.3f}" for metric in METRICS) for name in fills]
            lines.append([entry["method"], f"{entry['evaluations']:.0f}", *told])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def readme_table(record: dict[str, Any], budgets: Sequence[int] = (60, 250, 1000)) -> str:
    """Returns the README's table of quality: the means of all fills, for some budgets, of what a record holds."""
    lines = [["method", "searched with", "photographs", *(f"{budget:,}" for budget in budgets), WORDS["transfer"]]]
    lines.append(["---"] * len(lines[0]))
    entries = {(each["method"], each["fill"], each["budget"]): each for each in record["figures"]}
    for method, fill in dict.fromkeys((method, fill) for method, fill, _ in entries):
        own = [entries.get((method, fill, budget)) for budget in budgets]
        told = [", ".join(f"{each[ALL][metric]['mean'][0]:.3f}" for metric in METRICS) if each else "" for each in own]
        last = own[-1] or own[0] or {}
        lines.append([method, fill, str(last.get("images", "")), *told, _transfer(last, lambda mean: f"{mean[0]:.2f}")])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _transfer(entry: dict[str, Any], text: Callable[[list[float]], str]) -> str:
    return f"{text(entry['transfer'])} at {entry['mask area'][0]:.2f}" if "transfer" in entry else ""


def interval(values: list[float] | None) -> str:
    """Returns a mean and its interval as text; nothing where there is none."""
    return "" if values is None else "{:.3f} ({:.3f} to {:.3f})".format(*values)


def write_report(stem: str, rows: Sequence[Row], fills: Sequence[str], *, settings: dict[str, Any]) -> None:
    """Writes `STEM_PLATFORM.json`, `STEM.md` and `STEM.png` to `benchmarks/results`."""
    entries = figures(rows, fills)
    record = {"settings": settings, "figures": entries}
    write_record(stem, record, show=False)
    parts = [f"# Quality against evaluations: {settings['model']}", INTRODUCTION]
    for fill in dict.fromkeys(entry["fill"] for entry in entries):
        parts += [f"## Searched with {fill}", table(entries, fill), fills_table(entries, fill, fills)]
    parts.insert(2, f"![the means of all fills against evaluations]({stem}.png)")
    text = "\n\n".join(part.rstrip() for part in parts) + "\n"
    (RESULTS / f"{stem}.md").write_text(text)
    draw(record).savefig(RESULTS / f"{stem}.png", dpi=110)
    print(text)


INTRODUCTION = f"""\
All methods explain the same photographs with the same segments, where they take any, and the same fill; maps and masks
are judged under every fill, that of the search among them. Each mean is followed by its 95% bootstrap interval.
Differences are from E-LIME at the same fill and budget (or at the nearest number of evaluations), paired by photograph,
under the fills that the search did not use; where the interval holds zero they read "no difference seen". The area is
that of the first pixels, in the order of the score, with {SHARE} of the probability. Transfer is the share of masks
that keep {SHARE} of it under the fills that the search did not use, where a method returns a mask at that budget.
"""
