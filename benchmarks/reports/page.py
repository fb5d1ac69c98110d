"""One page of what `benchmarks/results` holds: `python -m benchmarks.reports.page`; needs matplotlib.

It reads the records of budget_curve, throughput, whole_run, scaling, start_up and gpu, and writes
`benchmarks/results/index.html`, which needs no other file.
"""

import base64
import html
import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.common.record import RESULTS
from benchmarks.reports.plots import DRAWERS, Record

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #1a202c; }
h2 { margin: 2.5rem 0 0; } .machine { color: #718096; font-size: 13px; margin: 0; } img { max-width: 100%; }
p { margin: .4rem 0; }
"""


def main() -> None:
    plt.switch_backend("svg")
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "xaijax"})
    sections = [
        section(path, title, *draw(record), record)
        for kind, (title, draw) in DRAWERS.items()
        for path in sorted(RESULTS.glob(f"{kind}*.json"))
        for record in [json.loads(path.read_text())]
    ]
    body = "\n".join(sections) or "<p>There are no records yet.</p>"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>xaijax benchmarks</title><style>{STYLE}</style>'
    )
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "index.html"
    file.write_text(f"{page}<h1>xaijax: what was measured</h1>\n{body}\n</html>\n")
    print(f"{file.relative_to(RESULTS.parents[1])}: {len(sections)} records")


def section(path: Path, title: str, figure: Figure, said: list[str], record: Record) -> str:
    """Returns the HTML of a record."""
    machine = record["machine"]
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in ("xaijax", "jax"))
    told = f"{machine['device']}, {machine['cores']} cores of {machine['processor']}; {versions}, {machine['commit']}, "
    told += f"{machine['date']}; {path.name}"
    sentences = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said)
    shown = f'<h2>{html.escape(title)}</h2><p class="machine">{html.escape(told)}</p>'
    return f'{shown}{sentences}<img alt="{html.escape(title)}" src="{picture(figure)}">'


def picture(figure: Figure) -> str:
    """Returns a figure as the address of an image that holds it, and closes it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"


if __name__ == "__main__":
    main()
