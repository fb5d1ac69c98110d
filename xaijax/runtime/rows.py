"""One explanation in the folder of a run: its line of `results.jsonl`, its files, and its picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from xaijax.classifier import Classifier
from xaijax.explanation import Explanation, Status
from xaijax.report.pictures import panel
from xaijax.report.words import figures, shown, title
from xaijax.runtime.folder import write_array, write_mask, write_picture

Save = Literal["masks", "scores", "overlays"]


def result_row(result: Explanation, place: int, classifier: Classifier) -> dict[str, Any]:
    """Returns the figures of one row of an explanation, as `results.jsonl` has them."""
    target = int(result.target[place])
    numbers = {
        name: round(float(getattr(result, name)[place]), 6)
        for name in ("original_probability", "probability", "area", "cp_score")
    }
    counts = {name: int(getattr(result, name)[place]) for name in ("evaluations", "generations")}
    status = Status(int(result.status[place])).message
    named = {"target": target, "label": classifier.label(target)}
    against = int(result.against[place])
    if against >= 0:
        named |= {"against": against, "against_label": classifier.label(against)}
    return {**named, **numbers, **counts, "status": status}


def write_files(
    out: Path,
    stem: str,
    pixels: np.ndarray,
    result: Explanation,
    place: int,
    row: dict[str, Any],
    save: Sequence[Save],
) -> None:
    """Writes the mask, the score map and the picture of one explanation, as far as `save` names them."""
    mask, score = np.asarray(result.mask[place]), np.asarray(result.score[place])
    if "masks" in save:
        write_mask(out / "masks" / f"{stem}.png", mask)
    if "scores" in save:
        write_array(out / "scores" / f"{stem}.npy", score)
    if "overlays" in save:
        write_picture(out / "overlays" / f"{stem}.png", draw(pixels, mask, score, row))


def draw(pixels: np.ndarray, mask: np.ndarray, score: np.ndarray, row: dict[str, Any]) -> Image.Image:
    """Draws one explanation with its figures."""
    return panel(pixels, mask, score, title=title(row), figures=figures(row), shown=shown(row))


def file_stem(index: int, name: str) -> str:
    """Returns the name of an image's files: its place in the input, and its own name."""
    return f"{index:06d}_{name}"
