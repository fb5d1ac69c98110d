"""The captions of an explanation's picture, made from its line of `results.jsonl`."""

from collections.abc import Mapping
from typing import Any


def title(row: Mapping[str, Any]) -> str:
    """Returns the class explained, and the class it is contrasted with, if any."""
    rival = f" rather than {row['against_label']}" if "against_label" in row else ""
    return f"{row['label']}{rival}"


def shown(row: Mapping[str, Any]) -> str:
    """Returns the caption of the mask's pixels: kept or removed."""
    return "removed pixels" if row.get("game") == "deletion" else "kept pixels"


def figures(row: Mapping[str, Any]) -> str:
    """Returns the figures in one line; where the search had several fills, with the probability under each."""
    where = "without" if row.get("game") == "deletion" else "on"
    by_fill = ", ".join(f"{name} {value:.3f}" for name, value in row.get("probability_by_fill", {}).items())
    return (
        f"probability {row['original_probability']:.3f} on the whole image, {row['probability']:.3f} {where} "
        f"{row['area']:.0%} of its pixels{f' ({by_fill})' if by_fill else ''}; CP score {row['cp_score']:.2f}; "
        f"{row['evaluations']} evaluations"
    )
