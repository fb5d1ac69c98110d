"""The folder of a run: files whole or not at all, and a journal that survives a sudden end."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from xaijax.runtime.folder import RUN, RunFolder
from xaijax.runtime.journal import BLOCKS, RESULTS, Journal, json_lines
from xaijax.runtime.share import Share
from xaijax.runtime.whole import whole_file, write_array, write_json, write_mask, write_new, write_whole

SETTINGS = {"seed": 0, "method": {"evaluations": 240, "crop": (1, 2)}, "model": "resnet"}
# A name in other letters, one with a line separator, and one that is no valid UTF-8 on disk.
ROWS = [{"path": name, "area": 0.5} for name in ("a.png", "жук.png", "one\u2028two\x85.png", "caf\udce9.png")]
NAMES = [row["path"] for row in ROWS]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep/er/file"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(path.parent) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def write_half():
        with whole_file(path) as file:
            file.write(b"half")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_half()

    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, b"new content")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_two_writers_of_a_file_do_not_meet(tmp_path):
    with whole_file(tmp_path / "file") as first:
        write_whole(tmp_path / "file", b"second")
        first.write(b"first")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert names_in(tmp_path) == ["file"]


def test_masks_arrays_and_json_come_back(tmp_path):
    mask = np.random.default_rng(0).random((5, 11)) < 0.5
    write_mask(tmp_path / "mask.png", mask)
    with Image.open(tmp_path / "mask.png") as picture:
        assert picture.mode == "1"
        np.testing.assert_array_equal(np.asarray(picture), mask)
    score = np.random.default_rng(0).normal(size=(5, 11)).astype(np.float32)
    write_array(tmp_path / "score.npy", score)
    np.testing.assert_array_equal(np.load(tmp_path / "score.npy"), score)
    write_json(tmp_path / "run.json", {"label": "жук"})
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) == {"label": "жук"}


def test_a_line_holds_a_row_whatever_its_name():
    lines = json_lines(ROWS).decode().splitlines()
    assert [json.loads(line) for line in lines] == ROWS


def folder_and_journal(path, **options):
    return RunFolder(path, SETTINGS, NAMES), Journal(path, rows_per_image=1, **options)


def rows_of(journal):
    return [row for rows in journal.rows(NAMES) for row in rows]


def test_a_finished_run_is_read_again(tmp_path):
    folder, journal = folder_and_journal(tmp_path / "out")
    assert rows_of(journal) == []
    for row in reversed(ROWS):
        journal.add(0, [row])
    assert folder.finish(journal, {"images_per_s": 2.0})
    assert names_in(folder.path) == sorted([RUN, RESULTS])
    assert (folder.path / RESULTS).read_bytes() == json_lines(ROWS)
    told = json.loads((folder.path / RUN).read_text())
    assert len(told.pop("list")) == 64
    assert told == {"settings": json.loads(json.dumps(SETTINGS)), "images": 4, "images_per_s": 2.0}
    _, again = folder_and_journal(tmp_path / "out")
    assert rows_of(again) == ROWS
    assert all(again.is_done(name) for name in NAMES)


def test_a_run_is_finished_by_who_finds_all_of_it(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    _, other = folder_and_journal(tmp_path)
    journal.add(0, ROWS[:3])
    folder.tell(Share(0, 2), {"images_per_s": 1.0})
    assert not folder.finish(journal, {})
    other.add(1, ROWS[3:])
    folder.tell(Share(1, 2), {"images_per_s": 2.0})
    assert folder.finish(other, {})
    assert json.loads((tmp_path / RUN).read_text())["processes"] == [{"images_per_s": 1.0}, {"images_per_s": 2.0}]
    before = (tmp_path / RUN).read_bytes()
    assert rows_of(other) == ROWS
    journal.scan()
    assert rows_of(journal) == ROWS
    assert (tmp_path / RUN).read_bytes() == before


def test_a_journal_torn_at_any_byte_loses_its_last_line_alone(tmp_path):
    first, last = json_lines(ROWS[:3]), json_lines(ROWS[3:])
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


def test_what_was_done_is_kept_when_the_run_is_stopped_again(tmp_path):
    _, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS[:1])
    assert RunFolder(tmp_path, SETTINGS, NAMES[:1]).finish(journal, {})
    for block, row in enumerate(ROWS[1:]):
        folder_and_journal(tmp_path)[1].add(block % 2, [row])
    assert rows_of(folder_and_journal(tmp_path)[1]) == ROWS


def test_a_later_explanation_stands_in_place_of_an_error_and_not_the_other_way(tmp_path):
    name, failed = NAMES[0], {"path": NAMES[0], "error": "it is gone."}
    _, journal = folder_and_journal(tmp_path)
    journal.add(0, [failed])
    journal.scan()
    assert journal.is_done(name)
    assert not journal.is_explained(name)
    assert journal.failures(NAMES, 10) == [(name, "it is gone.")]
    assert not folder_and_journal(tmp_path, retry_errors=True)[1].is_done(name)
    journal.add(0, [{**ROWS[0], "target": 3}, failed])
    journal.scan()
    assert list(journal.rows([name])) == [[{**ROWS[0], "target": 3}]]
    assert journal.is_explained(name)
    assert journal.failed_lines(name) == 0


def test_errors_that_processes_try_again_are_merged_once_all_were_tried(tmp_path):
    failed = [{"path": name, "error": "it is gone."} for name in NAMES[:2]]
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, [*failed, *ROWS[2:]])
    assert folder.finish(journal, {})
    (folder, journal), (_, other) = (folder_and_journal(tmp_path, retry_errors=True) for _ in range(2))
    journal.add(0, ROWS[:1])
    assert not folder.finish(journal, {})
    assert json.loads((tmp_path / RESULTS).read_text().splitlines()[0]) == failed[0]
    other.add(1, [failed[1] | {"error": "it is still gone."}])
    assert folder.finish(other, {})
    assert not (tmp_path / BLOCKS).exists()
    assert other.failures(NAMES, 10) == [(NAMES[1], "it is still gone.")]
    assert json.loads((tmp_path / RESULTS).read_text().splitlines()[0]) == ROWS[0]


def test_what_is_written_while_others_merge_is_not_dropped(tmp_path, monkeypatch):
    folder, journal = folder_and_journal(tmp_path)
    _, other = folder_and_journal(tmp_path)
    journal.add(0, [{"path": NAMES[0], "error": "it is gone."}, *ROWS[1:]])
    merge = RunFolder._merge

    def merge_and_add(*arguments):
        merge(*arguments)
        other.add(0, ROWS[:1])

    monkeypatch.setattr(RunFolder, "_merge", merge_and_add)
    assert not folder.finish(journal, {})
    monkeypatch.undo()
    assert folder.finish(other, {})
    assert (tmp_path / RESULTS).read_bytes() == json_lines(ROWS)


def test_a_line_that_a_machine_left_damaged_is_not_there(tmp_path):
    (tmp_path / BLOCKS).mkdir()
    (tmp_path / BLOCKS / "000000.jsonl").write_bytes(json_lines(ROWS[:1]) + b"\0" * 30 + b"\n" + json_lines(ROWS[2:]))
    folder, journal = folder_and_journal(tmp_path)
    assert [journal.is_done(name) for name in NAMES] == [True, False, True, True]
    journal.add(0, ROWS[1:2])
    assert folder.finish(journal, {})
    assert (tmp_path / RESULTS).read_bytes() == json_lines(ROWS)


def test_processes_of_one_run_have_one_list(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    RunFolder(tmp_path, SETTINGS, [*NAMES, "another.png"])
    journal.add(0, ROWS)
    with pytest.raises(ValueError, match="start all processes again, with one list"):
        folder.finish(journal, {})


def test_only_the_first_of_several_processes_writes_a_new_file(tmp_path):
    write_new(tmp_path / RUN, b"first")
    write_new(tmp_path / RUN, b"second")
    assert (tmp_path / RUN).read_bytes() == b"first"
    assert names_in(tmp_path) == [RUN]


def test_an_image_of_several_classes_is_done_with_the_last(tmp_path):
    journal = Journal(tmp_path, rows_per_image=2)
    rows = [{"path": "a.png", "target": target, "files": f"a_{target}"} for target in (4, 1)]
    for count in (1, 2):
        journal.add(0, rows[:count])
        journal.scan()
        assert journal.is_done("a.png") == (count == 2)
    assert list(journal.rows(["a.png"])) == [rows]
    assert journal.is_taken("a_4", "b.png")
    assert not journal.is_taken("a_4", "a.png")


def test_a_run_of_other_settings_is_refused_and_stays(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    folder.finish(journal, {"images_per_s": 2.0})
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
    other = {**SETTINGS, "seed": 1, "fill": "blur"}
    message = "holds a run with other settings: fill (None then, 'blur' now), seed (0 then, 1 now); name another folder"
    with pytest.raises(ValueError, match=re.escape(message)):
        RunFolder(tmp_path, other, NAMES)
    assert before == {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot write to '.*file' \(.+\); name another folder\."):
        RunFolder(tmp_path / "file", SETTINGS, NAMES)


def test_packed_results_are_of_one_list_of_images(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, [row | {"packed": {"mask": 1}} for row in ROWS])
    assert folder.finish(journal, {})
    assert [row["shard"] for row in rows_of(journal)] == [0] * len(ROWS)
    folder_and_journal(tmp_path)
    with pytest.raises(ValueError, match="holds packed results of another list of images; name another folder"):
        RunFolder(tmp_path, SETTINGS, NAMES[1:])
