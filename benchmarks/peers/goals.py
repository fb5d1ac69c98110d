"""The goals, each with our figure beside it."""

from typing import Any

import numpy as np

from benchmarks.common.compare import NO_DIFFERENCE, Values, less, mean_of, verdict
from benchmarks.common.record import told
from benchmarks.peers.figures import MEAN, METRICS, Figures
from benchmarks.peers.own import ELIME
from benchmarks.peers.packages import BY_GRADIENT

TIMES_FASTER = {"mobilenet_v2": 20.0, "resnet18": 8.0}
"""Than `lime`, at the first budget."""


def goals(figures: Figures, *, model: str) -> list[dict[str, Any]]:
    """Returns a line a goal: what is asked, what was found, and whether that is enough; means of all judging fills.

    No worse holds where the mean is no worse, otherwise no difference is seen where the interval holds zero.
    """
    if not figures.budgets:
        return []
    fill = MEAN
    ours = ELIME, str(figures.budgets[0])
    theirs = [line for line in figures.lines if figures.is_peer(line)]
    lime = next((line for line in theirs if line[0] == "lime"), None)
    found = []
    if lime:
        for metric in ("insertion", "deletion"):
            goal = f"{metric} AUC at {ours[1]} evaluations no worse than that of lime ({lime[1]})"
            found.append(_no_worse(figures, goal, ours, lime, metric, fill))
        found.append(_faster(figures, ours, lime, TIMES_FASTER.get(model)))
    found += _smallest(figures, theirs, fill)
    perturbing = [line for line in theirs if line[0] not in BY_GRADIENT]
    for metric in ("pointing", "iou"):
        known = [line for line in perturbing if figures.values(line, metric, fill)]
        if known:
            best = max(known, key=lambda line: figures.mean(line, metric, fill))
            goal = f"{METRICS[metric][0].partition(' (')[0]} no worse than that of the best perturbing peer, {best[0]}"
            found += [
                _no_worse(figures, f"{goal}, at {budget} evaluations", (ELIME, str(budget)), best, metric, fill)
                for budget in figures.budgets
            ]
    return found


def _no_worse(
    figures: Figures, goal: str, ours: tuple[str, str], theirs: tuple[str, str], metric: str, fill: str
) -> dict[str, Any]:
    difference = less(figures.values(ours, metric, fill), figures.values(theirs, metric, fill))
    means = [round(figures.mean(line, metric, fill), 4) for line in (ours, theirs)]
    return {"goal": goal, "ours": means[0], "theirs": means[1], "ours less theirs": mean_of(difference)} | {
        "met": _met(difference, METRICS[metric][1])
    }


def _met(difference: Values, sign: int) -> str:
    found = verdict(mean_of(difference), sign, len(difference))
    if found in ("better", "worse", NO_DIFFERENCE) and sign * np.mean(list(difference.values())) >= 0:
        return "yes"
    return "no" if found == "worse" else found


def _faster(figures: Figures, ours: tuple[str, str], lime: tuple[str, str], least: float | None) -> dict[str, Any]:
    theirs = {row["image"]: row["seconds"] for row in figures.rows(lime)}
    times = told(
        np.array([theirs[row["image"]] / row["seconds"] for row in figures.rows(ours) if row["image"] in theirs])
    )
    goal = f"times faster than lime at {ours[1]} evaluations" + (f": at least {least:g}" if least else "")
    seconds = [round(figures.seconds(line), 3) for line in (ours, lime)]
    met = "yes" if least is None or times[0] >= least else "no"
    return {"goal": goal, "ours": seconds[0], "theirs": seconds[1], "times faster": times, "met": met}


def _smallest(figures: Figures, theirs: list[tuple[str, str]], fill: str) -> list[dict[str, Any]]:
    """Compares with the peer of the smallest mean area: the map's area as theirs, and that of the evolved mask."""
    if not theirs:
        return []
    best = min(theirs, key=lambda line: figures.mean(line, "area", fill))
    found = []
    for budget in figures.budgets:
        ours = ELIME, str(budget)
        goal = f"area at 0.9 below that of any peer's ranking (the smallest is that of {best[0]})"
        found.append(_no_worse(figures, f"{goal}: ELIME's ranking at {budget}", ours, best, "area", fill))
        enough = {row["image"]: _mask_area(row) for row in figures.rows(ours)}
        difference = less(enough, figures.values(best, "area", fill))
        found.append(
            {
                "goal": f"{goal}: ELIME's mask at {budget}",
                "ours": round(float(np.mean(list(enough.values()))), 4),
                "theirs": round(figures.mean(best, "area", fill), 4),
                "ours less theirs": mean_of(difference),
                "met": _met(difference, -1),
            }
        )
    return found


def _mask_area(row: dict[str, Any]) -> float:
    """Returns the area of a row's own mask, 1 where it does not keep 0.9 of the probability."""
    is_enough = row.get("mask_probability", 0.0) >= 0.9 * row["probability"]
    return float(row["mask_area"]) if is_enough else 1.0
