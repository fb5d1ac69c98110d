"""The CP score of Evolving Binary Masks, tried: probability / area, beside other methods."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.compare import less, mean_of
from benchmarks.peers.journal import Row
from benchmarks.peers.own import BINARY_MASKS
from xaijax.metrics.judging import SHARE


def cp_scores(rows: Sequence[Row], quoted: dict[str, str], fill: str) -> list[dict[str, Any]]:
    """Compares probability / area: at the area of BinaryMasks' own mask, and where each map reaches 0.9.

    The masks of a map are its highest scores; their probability is read off the insertion curve.
    """
    squares = {row["image"]: row for row in rows if row["method"] == BINARY_MASKS and "mask_area" in row}
    own_masks = {image: row["mask_probability"] / row["mask_area"] for image, row in squares.items()}
    found = []
    for method in dict.fromkeys(row["method"] for row in rows):
        chosen = [row for row in rows if row["method"] == method and row["image"] in squares]
        setting = quoted.get(method) or max((row["setting"] for row in chosen), key=int, default="")
        own = {row["image"]: row for row in chosen if row["setting"] == setting}
        if not own:
            continue
        same_area = {image: _at(row, squares[image]["mask_area"], fill) for image, row in own.items()}
        smallest = {image: SHARE * row["probability"] / _area(row[fill]) for image, row in own.items()}
        found.append(
            {"method": method, "setting": setting, "images": len(own)}
            | {"at the area of BinaryMasks": mean_of(same_area)}
            | {"less that of BinaryMasks' own masks": mean_of(less(same_area, own_masks))}
            | {"at the smallest area with 0.9": mean_of(smallest)}
        )
    if own_masks:
        name = f"{BINARY_MASKS}, its own masks"
        own_line = {"method": name, "setting": "", "images": len(own_masks)}
        found.append(own_line | {"at the area of BinaryMasks": mean_of(own_masks)})
    return found


def _at(row: Row, area: float, fill: str) -> float:
    curve = row[fill]["inserted"]
    return float(np.interp(area, np.linspace(0, 1, len(curve)), curve)) / area


def _area(judged: Row) -> float:
    return max(judged["area"], 1 / (len(judged["inserted"]) - 1))  # at least a step: an empty mask has no CP score
