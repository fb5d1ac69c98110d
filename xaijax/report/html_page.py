"""The HTML page of a run: its images with their pictures and figures, in one file that loads nothing from a network."""

import html
import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from xaijax.report.captions import figures, shown, title

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #111; background: #fff; }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
p.figures { color: #555; margin-top: 0; }
figure { margin: 0 0 2rem; border-top: 1px solid #ddd; padding-top: .8rem; }
figure img { max-width: 100%; }
figcaption { color: #555; overflow-wrap: anywhere; }
.error { color: #a33600; }
""".strip()


SHOWN = 1000
"""Explanations shown on a page, the first ones: a browser cannot hold a million."""


def render_page(model: str, rows: Iterable[dict[str, Any]], pictures: Callable[[dict[str, Any]], str | None]) -> str:
    """Returns the page.

    Args:
        model: name of the classifier.
        rows: lines of the results; all are counted, and the first `SHOWN` are shown.
        pictures: returns the name of a row's picture in `overlays`, or None where it has none.
    """
    shown_rows, summary = _read(rows)
    parts = [_entry(index, row, pictures(row)) for index, row in enumerate(shown_rows)]
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>xaijax</title>
<style>{_STYLE}</style></head>
<body>
<h1>What {html.escape(model)} saw</h1>
<p class="figures">{html.escape(summary)}</p>
{"".join(parts)}
</body>
</html>
"""


def _read(rows: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Returns the rows to show, and a summary of all rows."""
    shown: list[dict[str, Any]] = []
    images: set[str] = set()
    explained: set[str] = set()
    count = good = changed = 0
    area, removes = 0.0, False
    for row in rows:
        count += 1
        images.add(row["path"])
        if len(shown) < SHOWN:
            shown.append(row)
        if "error" not in row:
            explained.add(row["path"])
            good += 1
            removes = row.get("game") == "deletion"
            changed += (row["probability"] > row["original_probability"]) != removes
            area += row["area"]
    parts = [f"{len(explained)} of {len(images)} images explained"]
    if good:
        parts += [f"probability {'lowered' if removes else 'raised'} in {changed}", f"mean area {area / good:.0%}"]
    if count > len(shown):
        parts.append(f"the first {len(shown):,} of {count:,} explanations follow, results.jsonl holds them all")
    return shown, "; ".join(parts) + "."


def _entry(index: int, row: dict[str, Any], picture: str | None) -> str:
    path = html.escape(row["path"])
    if "error" in row:
        return f'<figure><figcaption class="error">{path}: {html.escape(row["error"])}</figcaption></figure>\n'
    label = html.escape(title(row))
    image = ""
    if picture:
        source = f"overlays/{quote(os.fsencode(picture))}"
        image = f'<img loading="lazy" src="{source}" alt="{label}: original, {shown(row)}, score map, overlay">'
    caption = f"<b>{label}</b>: {html.escape(figures(row))}. {html.escape(row['status'])}"
    return f"<figure>{image}<figcaption>{caption}<br>{index}: {path}</figcaption></figure>\n"
