"""The HTML page of a run: its images with their pictures and figures, in one file that needs no network."""

import html
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from xaijax.report.words import figures, shown, title
from xaijax.runtime.folder import RUN
from xaijax.runtime.journal import RESULTS
from xaijax.runtime.whole import write_whole

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
"""Explanations that a page shows, the first ones: a browser holds no million."""


def write_page(folder: Path) -> Path:
    """Writes `index.html` of a finished run and returns its path.

    Raises:
        ValueError: the folder holds no finished run.
    """
    try:
        run = json.loads((folder / RUN).read_text())
        with (folder / RESULTS).open() as lines:
            rows, summary = _read(map(json.loads, lines))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{str(folder)!r} holds no finished run; run `xaijax explain` to its end first.") from error
    parts = [_entry(index, row, _overlay(folder, row)) for index, row in enumerate(rows)]
    page = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>xaijax</title>
<style>{_STYLE}</style></head>
<body>
<h1>What {html.escape(str(run["settings"].get("model", "the classifier")))} saw</h1>
<p class="figures">{html.escape(summary)}</p>
{"".join(parts)}
</body>
</html>
"""
    # A path may hold bytes that are no UTF-8.
    write_whole(folder / "index.html", page.encode(errors="backslashreplace"))
    return folder / "index.html"


def _read(rows: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Returns the rows that are shown, and what is to be said of all of them."""
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


def _overlay(folder: Path, row: dict[str, Any]) -> Path | None:
    path = folder / "overlays" / f"{row.get('files')}.png"
    return path if path.exists() else None


def _entry(index: int, row: dict[str, Any], picture: Path | None) -> str:
    path = html.escape(row["path"])
    if "error" in row:
        return f'<figure><figcaption class="error">{path}: {html.escape(row["error"])}</figcaption></figure>\n'
    label = html.escape(title(row))
    image = ""
    if picture:
        source = f"overlays/{quote(os.fsencode(picture.name))}"
        image = f'<img loading="lazy" src="{source}" alt="{label}: original, {shown(row)}, score map, overlay">'
    told = f"<b>{label}</b>: {html.escape(figures(row))}. {html.escape(row['status'])}"
    return f"<figure>{image}<figcaption>{told}<br>{index}: {path}</figcaption></figure>\n"
