"""The lines of `results.jsonl` and of the journals: a JSON object each, for a result or an error.

Whatever a machine left in a file, `parse_line` returns a line only if it has all parts of the right types.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xaijax.runtime.layout import PACKED, RESULTS

WRITTEN = "written"
"""Key in the lines of journals only: when the line was written, in nanoseconds since the epoch."""

AGAIN = "again"
"""Key in the lines of journals only: marks that earlier lines of the image no longer count."""

NUMBERS = ("target", "original_probability", "probability", "area", "cp_score", "evaluations")
WORDS = ("label", "status", "files")
"""Keys that every line without an error has."""

KINDS: dict[str, type] = {
    **{"target": int, "label": str, "status": str, "error": str, "files": str, "saved": dict, "shard": int},
    **{"sha256": str, "bytes": int, "mtime_ns": int, WRITTEN: int},
}
"""Types of the values, for the keys that are present."""

Row = dict[str, Any]
"""A line, parsed."""


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns one line of JSON per row, in ASCII: a path may hold line separators, or bytes that are not UTF-8."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def is_failure_of_image(row: Mapping[str, Any]) -> bool:
    """Whether a line is the error of a whole image, rather than of one class."""
    return "error" in row and "target" not in row


def parse_line(line: bytes) -> Row | None:
    """Parses a line: a result, an error, or a mark that an image is explained again; None for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        return None
    if any(not isinstance(row[name], kind) for name, kind in KINDS.items() if name in row):
        return None
    if AGAIN in row or "error" in row:
        return row
    is_result = all(_is_number(row.get(name)) for name in NUMBERS) and all(name in row for name in WORDS)
    return row if is_result and _has_valid_files(row) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not abs(value) > 1e300


def _has_valid_files(row: Row) -> bool:
    """Whether a result names its files as a run does, each with its size."""
    stem, saved = row["files"], row.get("saved", {})
    is_stem = not set("/\\\0") & set(stem) and len(stem.encode(errors="replace")) < 250
    has_shard = PACKED not in saved or row.get("shard", -1) >= 0
    return is_stem and has_shard and all(isinstance(size, int) for size in saved.values())


def read_results(folder: Path) -> Iterator[Row]:
    """Yields the lines of a finished run.

    Raises:
        ValueError: the run is not finished, or one of the lines is not a result.
    """
    try:
        with (folder / RESULTS).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                row = parse_line(line)
                if row is None or AGAIN in row:
                    raise ValueError(
                        f"line {number} of {str(folder / RESULTS)!r} is no result of xaijax; start the same `xaijax "
                        "explain` again, which repairs it."
                    )
                yield row
    except OSError as error:
        raise ValueError(f"{str(folder)!r} holds no finished run; run `xaijax explain` to its end first.") from error
