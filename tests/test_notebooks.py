"""Every notebook runs from its first cell to its last."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(notebook, capsys):
    cells = json.loads(notebook.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict = {}
    for number, source in enumerate(sources, 1):
        exec(compile(source, f"{notebook.name}, code cell {number}", "exec"), names)
    assert len(sources) > 3
    assert "The search" in capsys.readouterr().out
    assert all(not cell.get("outputs") for cell in cells)
