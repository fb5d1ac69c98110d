"""Lines of results: what counts as one."""

import json

import pytest

from tests.runtime.output.run_folders import (
    JUNK,
    NAMES,
    ROWS,
    folder_and_journal,
)
from xaijax.cli.evaluate import evaluate_run
from xaijax.runtime.layout import RESULTS
from xaijax.runtime.output.page_file import write_page
from xaijax.runtime.output.result_lines import json_lines


def test_a_line_holds_a_row_whatever_its_name():
    lines = json_lines(ROWS).decode().splitlines()
    assert [json.loads(line) for line in lines] == ROWS


@pytest.mark.parametrize("command", [write_page, evaluate_run])
@pytest.mark.parametrize("junk", [JUNK[0], b'{"path": "a.png", "area": 0.5}', b'{"path": "a.png", "error": 7}'])
def test_junk_in_the_results_is_one_sentence_with_its_line(tmp_path, command, junk):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, [{"path": name, "error": "it is gone."} for name in NAMES])
    assert folder.finish(journal, {})
    with (tmp_path / RESULTS).open("ab") as results:
        results.write(junk + b"\n")
    with pytest.raises(
        ValueError, match=r"line 5 of '.*results\.jsonl' is no result of xaijax; start the same `xaijax exp"
    ):
        command(tmp_path)
