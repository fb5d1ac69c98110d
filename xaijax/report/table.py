"""Figures as a table of text."""

from collections.abc import Sequence


def text_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Returns the header and one line per row, the first column aligned left and the others right."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    text = []
    for line in [header, ["-" * width for width in widths], *lines]:
        figures = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  ".join([line[0].ljust(widths[0]), *figures]))
    return "\n".join(text)
