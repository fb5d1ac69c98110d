"""Figures as a table of text."""

from collections.abc import Sequence


def text_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Returns a line a row under the header, the first column to the left and the others to the right."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    text = []
    for line in [header, ["-" * width for width in widths], *lines]:
        figures = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  ".join([line[0].ljust(widths[0]), *figures]))
    return "\n".join(text)
