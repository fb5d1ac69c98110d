"""What the journal holds of the subjects and contestants that were asked for, gathered for the report."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.record import plain_options
from benchmarks.peers.contest import Contestant, Subject
from benchmarks.peers.cp_scores import cp_scores
from benchmarks.peers.figures import Figures
from benchmarks.peers.goals import goals
from benchmarks.peers.journal import Journal, Row
from benchmarks.peers.options import Options
from benchmarks.peers.protocol import quality

PACKAGES = ("torch", "lime", "shap", "captum", "grad-cam", "shapiq", "rex-xai", "scikit-learn")


def explained(journal: Journal, contestants: Sequence[Contestant], subjects: Sequence[Subject]) -> list[Row]:
    """Returns the rows of explanations; a journal may hold those of other photographs and methods too."""
    images, methods = {subject.name for subject in subjects}, {each.method for each in contestants}
    rows = journal.all(kind="explained")
    return [row for row in rows if row["image"] in images and row["method"] in methods]


def gather(
    figures: Figures,
    journal: Journal,
    contestants: Sequence[Contestant],
    subjects: Sequence[Subject],
    options: Options,
    *,
    quoted: dict[str, str],
) -> dict[str, Any]:
    """Returns what `write_report` tells besides the figures of the methods."""
    tuning, together = journal.find(kind="tuning"), journal.find(kind="together")
    memory_format = "channels last" if tuning["best"]["channels_last"] else "channels first"
    rows = explained(journal, contestants, subjects)
    return {
        "settings": plain_options(options),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "photographs": [subject.name for subject in subjects],
        "with a known object": sum(subject.object is not None for subject in subjects),
        "tuned": f"{memory_format}, batch {tuning['best']['batch']}, the fastest of {len(tuning['times'])}",
        "times of PyTorch": tuning["times"],
        "goals": goals(figures, model=options.model),
        "settings tried": _tried(journal, contestants, subjects[: options.trials], quoted),
        "costs": [_cost(journal, line) for line in figures.lines],
        "together": f"ELIME at {options.budgets[0]} evaluations on a batch of {together['images']}: "
        f"{together['seconds an image']:.3f} s an image, and {together['first call']:.1f} s the first call.",
        "cp scores": cp_scores(rows, quoted, options.fills[0]),
    }


def _tried(
    journal: Journal, contestants: Sequence[Contestant], subjects: Sequence[Subject], quoted: dict[str, str]
) -> list[dict[str, Any]]:
    found = []
    for each in contestants:
        rows = [journal.find(kind="explained", image=subject.name, **each.key) for subject in subjects]
        if each.side == "peer" and rows:
            found.append(
                {
                    **{"method": each.method, "setting": each.setting, "what": each.settings},
                    "insertion less deletion": round(quality(rows), 4),
                    "seconds": round(float(np.mean([row["seconds"] for row in rows])), 3),
                    "quoted": "yes" if quoted[each.method] == each.setting else "",
                }
            )
    return found


def _cost(journal: Journal, line: tuple[str, str]) -> tuple[Any, ...]:
    """Returns method, setting, seconds of the first call, and the memory of its process in megabytes."""
    key = {"method": line[0], "setting": line[1]}
    first, memory = journal.find(kind="first call", **key), journal.find(kind="memory", **key)
    return *line, first.get("seconds"), memory.get("peak_mb"), memory.get("before_mb")
