"""What the README says of quality is what the records say."""

import json
from pathlib import Path

from benchmarks.reports.budget_report import readme_table

HERE = Path(__file__).parents[1]


def test_the_table_of_quality_equals_its_record():
    record = json.loads((HERE / "benchmarks" / "results" / "budget_curve_mobilenet_v2_cpu.json").read_text())
    assert readme_table(record) in (HERE / "README.md").read_text()
