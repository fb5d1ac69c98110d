"""The report: JSON, Markdown and plots in `benchmarks/results`."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.common.record import RESULTS, machine, write_record
from benchmarks.peers.figures import MEAN, METRICS, Figures
from benchmarks.peers.plots import draw

INTRODUCTION = """\
Every method explains the class that the classifier predicts, of the same photographs (224 x 224, uint8), with the same
weights; those that take segments get the same ones, for which the peers spend no time. The peers run in PyTorch, an
image at a time, xaijax too unless it says otherwise. All maps are judged by the same metrics, those of xaijax.metrics.
Passes are rows that went through the network forwards; gradients come on top. Each mean over photographs is followed by
its 95% bootstrap interval; differences are paired by photograph. The methods run in the order A B B A from photograph
to photograph; the first call of a method, which compiles, is not in its seconds.
"""

NO_OBJECT = "-"


def write_report(stem: str, figures: Figures, found: dict[str, Any]) -> None:
    """Writes `STEM_PLATFORM.json`, `STEM.md` and `STEM.png`.

    Args:
        stem: of the names.
        figures: of the methods.
        found: what else was found, by the names that `_sections` has.
    """
    record = found | {
        "figures": [figures.entry(line) for line in figures.lines],
        "equal passes": list(comparisons(figures, by="passes")),
        "equal quality": list(comparisons(figures, by="quality")),
        "paired": [
            figures.compare(line, budget, fill) | {"fill": fill}
            for fill in (MEAN, *figures.fills)
            for line in figures.lines
            if figures.is_peer(line)
            for budget in figures.budgets
        ],
    }
    write_record(stem, record)
    text = "\n\n".join(_sections(stem, figures, record)) + "\n"
    (RESULTS / f"{stem}.md").write_text(text)
    draw(figures, RESULTS / f"{stem}.png")
    print(text)


def comparisons(figures: Figures, *, by: str) -> Iterable[dict[str, Any]]:
    """Yields each peer against ELIME at the budget of equal passes, or of equal quality; without one it says so."""
    for line in figures.lines:
        if figures.is_peer(line):
            budget = figures.equal_passes(line) if by == "passes" else figures.equal_quality(line, MEAN)
            absent = {"method": line[0], "setting": line[1], "budget": None, "passes": [figures.passes(line)]}
            yield figures.compare(line, budget, MEAN) if budget else absent


def _sections(stem: str, figures: Figures, record: dict[str, Any]) -> Iterable[str]:
    where = machine()
    yield f"# xaijax beside the field: {record['settings']['model']}\n\n{INTRODUCTION.rstrip()}"
    yield _table(("", ""), [(name, _plain(value)) for name, value in _setup(where, record).items()])
    yield "## The goals"
    header = ("goal", "xaijax", "the peer", "difference or ratio", "met")
    yield _table(header, [_goal(goal) for goal in record["goals"]])
    yield f"## The methods, {MEAN}\n\n![quality against passes and seconds]({stem}.png)"
    yield _methods(record, MEAN)
    for fill in figures.fills:
        yield f"## The methods, judged with the {fill} fill"
        yield _methods(record, fill)
    yield "## Equal passes: ELIME at the largest budget that is no larger than the peer's passes"
    yield _compared(record["equal passes"], "the peer has fewer passes than any budget")
    yield _told(record["equal passes"])
    yield "## Equal quality: ELIME at the least budget whose mean insertion and deletion are no worse"
    yield _compared(record["equal quality"], "no budget is as good")
    yield _told(record["equal quality"])
    yield "## What was tried of each peer\n\nOn the first photographs, by insertion less deletion over all fills."
    yield _table(
        ("package", "setting", "what", "insertion less deletion", "seconds", "quoted"),
        [tuple(_plain(row[name]) for name in row) for row in record["settings tried"]],
    )
    yield "## Compilation, batches and memory"
    yield _table(
        ("method", "setting", "first call, s", "peak memory of its process, MB", "before it explained"),
        [tuple(_plain(value) for value in row) for row in record["costs"]],
    )
    yield record["together"]
    yield from _cp_scores(record["cp scores"])


def _setup(where: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    versions = where["versions"] | record["versions"]
    return {
        "machine": f"{where['cores']} cores, {where['processor']}, {where['platform']} ({where['device']})",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "commit, date": f"{where['commit']}, {where['date']}",
        "photographs": f"{len(record['photographs'])}, with a known object {record['with a known object']}",
        "weights": record["settings"]["weights"],
        "largest difference of the logits": record["parity"],
        "PyTorch, tuned": record["tuned"],
    }


def _goal(goal: dict[str, Any]) -> tuple[str, ...]:
    compared = goal.get("ours less theirs") or goal.get("times faster")
    return goal["goal"], _plain(goal["ours"]), _plain(goal["theirs"]), _interval(compared), goal["met"]


def _methods(record: dict[str, Any], fill: str) -> str:
    header = (
        "method",
        "setting",
        "photographs",
        "passes",
        "seconds",
        "peak MB",
        *(words for words, _ in METRICS.values()),
        "transfer (more)",
    )
    peaks = {(row[0], row[1]): row[3] for row in record["costs"]}
    lines = [
        (
            *(entry["method"], entry["setting"], str(entry["images"]), f"{entry['passes']:.0f}"),
            _interval(entry["seconds"]),
            _plain(peaks.get((entry["method"], entry["setting"]))),
            *(_interval(entry[fill][metric]) for metric in METRICS),
            _interval(entry.get("transfer")),
        )
        for entry in record["figures"]
    ]
    return _table(header, lines)


def _compared(rows: list[dict[str, Any]], absent: str) -> str:
    header = ("peer", "passes", "ELIME's", "seconds", "ELIME's", "times faster", *METRICS)
    lines = []
    for row in rows:
        name = f"{row['method']} ({row['setting']})"
        if row["budget"] is None:
            lines.append((name, f"{row['passes'][0]:.0f}", absent, *[""] * (len(header) - 3)))
            continue
        passes, seconds = ([_plain(value) for value in row[key]] for key in ("passes", "seconds"))
        quality = [f"{_interval(row[metric]['ours less theirs'])}: {row[metric]['verdict']}" for metric in METRICS]
        lines.append((name, *passes, *seconds, _interval(row["times faster"]), *quality))
    return (
        "ELIME's less the peer's, means of all fills, paired by photograph; where the interval holds 0, no difference "
        "is seen.\n\n" + _table(header, lines)
    )


def _told(rows: list[dict[str, Any]]) -> str:
    """Returns where xaijax wins and where it loses, in words."""
    lines = []
    for word in ("better", "worse"):
        places = [
            f"{metric} against {row['method']}"
            for row in rows
            for metric in METRICS
            if row["budget"] and row[metric]["verdict"] == word
        ]
        lines.append(f"ELIME is {word} in: {', '.join(places) or 'nothing'}.")
    return "\n".join(lines)


def _cp_scores(rows: list[dict[str, Any]]) -> Iterable[str]:
    if rows:
        header = ("method", "images", "at the area of BinaryMasks", "less that of its own masks", "smallest with 0.9")
        keys = ("at the area of BinaryMasks", "less that of BinaryMasks' own masks", "at the smallest area with 0.9")
        lines = [
            (f"{row['method']} {row['setting']}", str(row["images"]), *(_interval(row.get(key)) for key in keys))
            for row in rows
        ]
        yield (
            "## The CP score\n\nProbability / area, which Evolving Binary Masks says is above that of LIME, SHAP and "
            "Grad-CAM; here at equal areas, and at the smallest area that keeps 0.9 of the probability, which the "
            "steps of the curve bound, with the fill of the default search:\n\n" + _table(header, lines)
        )


def _table(header: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [header, ("---",) * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return _interval(value)
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return NO_OBJECT if value is None else str(value)


def _interval(values: list[float] | None) -> str:
    if values is None or np.isnan(values).any():
        return NO_OBJECT
    digits = 1 if max(map(abs, values)) >= 10 else 3
    return "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*values, d=digits)
