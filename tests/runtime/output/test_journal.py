"""Journals that survive a sudden end, and other processes."""

from pathlib import Path

import pytest

from tests.runtime.output.run_folders import JUNK, NAMES, ROWS, folder_and_journal, read_lines, rows_of
from xaijax.runtime.layout import BLOCKS, RESULTS
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.result_lines import json_lines


def test_a_journal_torn_at_any_byte_loses_its_last_line_alone(tmp_path):
    first, last = json_lines(ROWS[:3]), json_lines(ROWS[3:])
    folder_and_journal(tmp_path)
    (tmp_path / BLOCKS).mkdir()
    for kept in range(len(last)):
        (tmp_path / BLOCKS / "000000.jsonl").write_bytes(first + last[:kept])
        _, journal = folder_and_journal(tmp_path)
        assert rows_of(journal) == ROWS[:3]
        assert not journal.is_done(NAMES[3])
        journal.add(0, ROWS[3:])
        assert rows_of(folder_and_journal(tmp_path)[1]) == ROWS


def test_a_block_that_another_process_died_in_is_read_again(tmp_path):
    _, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS[:1])
    (tmp_path / BLOCKS / "000000.jsonl").write_bytes(json_lines(ROWS[:2]) + b'{"pa')
    journal.scan_block(0)
    journal.scan_block(7)  # of which there is nothing yet
    assert [journal.is_done(name) for name in NAMES] == [True, True, False, False]
    journal.add(0, ROWS[2:])
    assert rows_of(folder_and_journal(tmp_path)[1]) == ROWS


def test_a_line_that_a_machine_left_damaged_is_not_there(tmp_path):
    folder_and_journal(tmp_path)
    (tmp_path / BLOCKS).mkdir()
    (tmp_path / BLOCKS / "000000.jsonl").write_bytes(json_lines(ROWS[:1]) + b"\0" * 30 + b"\n" + json_lines(ROWS[2:]))
    folder, journal = folder_and_journal(tmp_path)
    assert [journal.is_done(name) for name in NAMES] == [True, False, True, True]
    journal.add(0, ROWS[1:2])
    assert folder.finish(journal, {})
    assert (tmp_path / RESULTS).read_bytes() == json_lines(ROWS)


def test_junk_in_a_journal_costs_its_own_lines_and_is_said(tmp_path):
    folder_and_journal(tmp_path)
    (tmp_path / BLOCKS).mkdir()
    content = b"".join(line + b"\n" for line in [*JUNK, json_lines(ROWS[:2]).strip(), *JUNK])
    (tmp_path / BLOCKS / "000000.jsonl").write_bytes(content)
    folder, journal = folder_and_journal(tmp_path)
    assert [journal.is_done(name) for name in NAMES] == [True, True, False, False]
    (sentence,) = journal.sentences()
    assert sentence.startswith(f"{2 * len(JUNK)} line(s) of ")
    assert "000000.jsonl' are no results, and dropped; listed images are explained again." in sentence
    journal.add(0, ROWS[2:])
    assert folder.finish(journal, {})
    assert read_lines(tmp_path) == ROWS


def test_a_start_while_another_process_merges_sees_all_that_is_done(tmp_path, monkeypatch):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    glob = type(tmp_path).glob

    def listed_and_merged(path, pattern):
        found = list(glob(path, pattern))
        if path.name == BLOCKS and pattern == "*.jsonl":
            monkeypatch.setattr(type(tmp_path), "glob", glob)
            assert folder.finish(journal, {})
        return found

    monkeypatch.setattr(type(tmp_path), "glob", listed_and_merged)
    starting = Journal(tmp_path, rows_per_image=1)
    assert all(starting.is_done(name) for name in NAMES)


def test_lines_that_were_moved_are_noticed(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    assert folder.finish(journal, {})
    reader = Journal(tmp_path, rows_per_image=1)
    lines = (tmp_path / RESULTS).read_bytes().splitlines(keepends=True)
    (tmp_path / RESULTS).write_bytes(b"".join(reversed(lines)))
    with pytest.raises(OSError, match="is another file than it was"):
        list(reader.rows(NAMES))


@pytest.mark.parametrize("name", [RESULTS, f"{BLOCKS}/000000.jsonl"])
def test_a_journal_that_cannot_be_read_is_a_sentence_with_its_name(tmp_path, name):
    folder_and_journal(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=rf"{Path(name).name}' cannot be read \(.*\); fix that first\."):
        folder_and_journal(tmp_path)
