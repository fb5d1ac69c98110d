"""The folder of a run: files whole or not at all, and a journal that survives a sudden end."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xaijax.atomic_files import atomic_file, atomic_write, write_array, write_json, write_mask, write_new
from xaijax.cli.evaluate import evaluate_run
from xaijax.cli.status import read_progress
from xaijax.runtime.layout import BLOCKS, RESULTS, RUN
from xaijax.runtime.output.journal import Journal, json_lines
from xaijax.runtime.output.page import write_page
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.partition import Partition

SETTINGS = {"seed": 0, "options": {}, "method": {"evaluations": 240, "crop": (1, 2)}, "model": "resnet"}
# A name in other letters, one with a line separator, and one that is no valid UTF-8 on disk.
FIGURES = dict.fromkeys(("original_probability", "probability", "area", "cp_score", "evaluations"), 0.5)
FIGURES |= {"target": 1, "label": "1", "status": "It ended."}
PATHS = ("a.png", "жук.png", "one\u2028two\x85.png", "caf\udce9.png")
ROWS = [{"path": name, **FIGURES, "files": str(index)} for index, name in enumerate(PATHS)]
NAMES = [row["path"] for row in ROWS]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep/er/file"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(path.parent) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def write_half():
        with atomic_file(path) as file:
            file.write(b"half")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_half()

    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        atomic_write(path, b"new content")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_two_writers_of_a_file_do_not_meet(tmp_path):
    with atomic_file(tmp_path / "file") as first:
        atomic_write(tmp_path / "file", b"second")
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


def folder_and_journal(path, names=NAMES, **options):
    folder = RunFolder(path, SETTINGS, names)
    journal = Journal(path, rows_per_image=1, **options)
    folder.take_list(journal)
    return folder, journal


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
    assert list(told.pop("journals")) == ["000000.jsonl"]
    assert len(told.pop("list")) == len(told.pop("merged")) == 64
    assert told == {
        "format": "xaijax run 1",
        "settings": json.loads(json.dumps(SETTINGS)),
        "images": 4,
        "unlisted": 0,
        "folder": os.getcwd(),
        "images_per_s": 2.0,
    }
    _, again = folder_and_journal(tmp_path / "out")
    assert rows_of(again) == ROWS
    assert all(again.is_done(name) for name in NAMES)


def test_a_run_is_finished_by_who_finds_all_of_it(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    _, other = folder_and_journal(tmp_path)
    journal.add(0, ROWS[:3])
    folder.tell(Partition(0, 2), {"images_per_s": 1.0})
    assert not folder.finish(journal, {})
    other.add(1, ROWS[3:])
    folder.tell(Partition(1, 2), {"images_per_s": 2.0})
    assert folder.finish(other, {})
    assert json.loads((tmp_path / RUN).read_text())["processes"] == [{"images_per_s": 1.0}, {"images_per_s": 2.0}]
    before = (tmp_path / RUN).read_bytes()
    assert rows_of(other) == ROWS
    journal.scan()
    assert rows_of(journal) == ROWS
    assert (tmp_path / RUN).read_bytes() == before


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


def test_what_was_done_is_kept_when_the_run_is_stopped_again(tmp_path):
    folder, journal = folder_and_journal(tmp_path, NAMES[:1])
    journal.add(0, ROWS[:1])
    assert folder.finish(journal, {})
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
    journal.mark(0, [name])
    assert not journal.is_done(name)
    assert not folder_and_journal(tmp_path)[1].is_done(name)  # nor for any other process
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
    (folder, journal), (_, other) = (folder_and_journal(tmp_path) for _ in range(2))
    journal.mark(0, NAMES[:1])
    other.mark(1, NAMES[1:2])
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

    def merge_and_add(*arguments, **options):
        merge(*arguments, **options)
        other.add(0, ROWS[:1])

    monkeypatch.setattr(RunFolder, "_merge", merge_and_add)
    assert not folder.finish(journal, {})
    monkeypatch.undo()
    assert folder.finish(other, {})
    assert (tmp_path / RESULTS).read_bytes() == json_lines(ROWS)


def test_a_line_that_a_machine_left_damaged_is_not_there(tmp_path):
    folder_and_journal(tmp_path)
    (tmp_path / BLOCKS).mkdir()
    (tmp_path / BLOCKS / "000000.jsonl").write_bytes(json_lines(ROWS[:1]) + b"\0" * 30 + b"\n" + json_lines(ROWS[2:]))
    folder, journal = folder_and_journal(tmp_path)
    assert [journal.is_done(name) for name in NAMES] == [True, False, True, True]
    journal.add(0, ROWS[1:2])
    assert folder.finish(journal, {})
    assert (tmp_path / RESULTS).read_bytes() == json_lines(ROWS)


def test_processes_of_one_run_have_one_list(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    folder_and_journal(tmp_path, [*NAMES, "another.png"])
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
    rows = [{**ROWS[0], "target": target, "files": f"a_{target}"} for target in (4, 1)]
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


def test_packed_results_stay_where_they_are_when_images_come_and_go(tmp_path):
    rows = [{**row, "packed": {"mask": number}} for number, row in enumerate(ROWS)]
    folder, journal = folder_and_journal(tmp_path, NAMES[1:3])
    journal.add(0, rows[1:3])
    assert folder.finish(journal, {})
    shard = (tmp_path / "packed" / "000000.jsonl.gz").read_bytes()
    folder, journal = folder_and_journal(tmp_path, NAMES[:2])
    journal.add(0, rows[:1])
    assert folder.finish(journal, {})
    found = read_lines(tmp_path)
    assert [(row["path"], row["shard"]) for row in found] == [(NAMES[0], 1), (NAMES[1], 0), (NAMES[2], 0)]
    assert found[1]["saved"] == {"packed": len(shard)}
    assert (tmp_path / "packed" / "000000.jsonl.gz").read_bytes() == shard
    folder, journal = folder_and_journal(tmp_path, NAMES[:1])
    assert folder.finish(journal, {}, prune=True)
    assert names_in(tmp_path / "packed") == ["000001.jsonl.gz"]


def read_lines(folder):
    return [json.loads(line) for line in (folder / RESULTS).read_text().splitlines()]


def add_all(folder, journal, names):
    """Explains images, each with a mask."""
    for index, name in enumerate(names):
        write_mask(folder.path / "masks" / f"{index}_{name}.png", np.zeros((2, 2), bool))
    journal.add(0, [{"path": name, **FIGURES, "files": f"{index}_{name}"} for index, name in enumerate(names)])


def test_what_is_no_longer_listed_stays_until_it_is_pruned(tmp_path, capsys):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "mine.png").write_bytes(b"of the user")
    (tmp_path / "out").mkdir()
    names = ["a", "b", "c", "d"]
    out = tmp_path / "out"
    folder, journal = folder_and_journal(out, names)
    add_all(folder, journal, names)
    assert folder.finish(journal, {"images_per_s": 2.0})
    before = {row["path"]: row for row in read_lines(out)}
    (out / "masks" / "mine.png").write_bytes(b"of the user")
    (out / "notes.txt").write_text("of the user")

    folder, journal = folder_and_journal(out, ["c"])
    assert folder.unlisted == ["a", "b", "d"]
    assert folder.finish(journal, {"images_per_s": 0.0})
    assert read_lines(out) == [before[name] for name in ("c", "a", "b", "d")]
    told = json.loads((out / RUN).read_text())
    assert (told["images"], told["unlisted"], told["images_per_s"]) == (1, 3, 2.0)

    folder, journal = folder_and_journal(out, ["d", "c"])
    assert folder.finish(journal, {}, prune=True)
    assert read_lines(out) == [before["d"], before["c"]]
    assert names_in(out / "masks") == ["2_c.png", "3_d.png", "mine.png"]
    assert (out / "notes.txt").read_text() == "of the user"


@pytest.mark.parametrize("name", ["notes.txt", "index.html", "blocks", ".hidden", "masks"])
def test_a_folder_that_holds_something_else_is_refused_and_stays(tmp_path, name):
    if name in ("blocks", "masks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("of the user")
    else:
        (tmp_path / name).write_text("of the user")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        ValueError, match=rf"is no folder of a run and holds '{name}', which stays as it is; name a fol"
    ):
        RunFolder(tmp_path, SETTINGS, NAMES)
    assert sorted(tmp_path.rglob("*")) == before


def test_only_what_the_run_wrote_is_deleted_at_its_end(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    for name in ("notes.txt", "000000.jsonl.bak", ".DS_Store"):
        (tmp_path / BLOCKS / name).write_text("of the user")
    for name in (".a.png.0123456789abcdef.part", ".a.png.of the user's.part"):
        (tmp_path / name).write_text("part")
    assert folder.finish(journal, {})
    assert names_in(tmp_path / BLOCKS) == [".DS_Store", "000000.jsonl.bak", "notes.txt"]
    assert ".a.png.0123456789abcdef.part" not in names_in(tmp_path)
    assert ".a.png.of the user's.part" in names_in(tmp_path)


@pytest.mark.parametrize("name", [RESULTS, f"{BLOCKS}/000000.jsonl"])
def test_results_without_the_settings_that_they_are_of_are_refused(tmp_path, name):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    if name == RESULTS:
        assert folder.finish(journal, {})
    (tmp_path / RUN).unlink()
    before = (tmp_path / name).read_bytes()
    with pytest.raises(
        ValueError, match=r"holds results, but not the run\.json that says what they are of; put it back"
    ):
        RunFolder(tmp_path, {**SETTINGS, "seed": 1}, NAMES)
    assert (tmp_path / name).read_bytes() == before


BROKEN = {
    "empty": b"",
    "truncated": b'{"format": "xaijax run 1", "settings": {"seed"',
    "no text": b"\xff\xfe\0",
    "a list": b"[]",
    "a number": b"7",
    "of something else": b'{"settings": {}, "images": 4}',
    "of another version": b'{"format": "xaijax run 7", "settings": {}, "images": 4, "unlisted": 0, "list": ""}',
    "of other types": b'{"format": "xaijax run 1", "settings": [], "images": 4, "unlisted": 0, "list": ""}',
    "without a folder": b'{"format": "xaijax run 1", "settings": {}, "images": 4, "unlisted": 0, "list": ""}',
    "with a strange rate": (
        b'{"format": "xaijax run 1", "settings": {}, "images": 4, "unlisted": 0, "list": "", "folder": null, '
        b'"images_per_s": "many"}'
    ),
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("command", ["explain", "status", "report", "evaluate"])
def test_a_damaged_record_is_one_sentence_with_its_name(tmp_path, kind, command):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    assert folder.finish(journal, {})
    (tmp_path / RUN).write_bytes(BROKEN[kind])
    commands = {
        "explain": lambda: RunFolder(tmp_path, SETTINGS, NAMES),
        "status": lambda: read_progress(tmp_path),
        "report": lambda: write_page(tmp_path),
        "evaluate": lambda: evaluate_run(tmp_path),
    }
    with pytest.raises(ValueError, match=r"run\.json' is damaged, or of no run of this version of xaijax; put it back"):
        commands[command]()
    assert (tmp_path / RUN).read_bytes() == BROKEN[kind]


WRONG = [
    *({"files": name} for name in ("../../mine", "a\\b", "a\0b", "a" * 5000, None)),
    *({"saved": sizes} for sizes in ([], None, {"masks": "7"}, {"packed": 7})),
    *({"area": number} for number in (None, "0.5", 10**400)),
    *({name: None} for name in ("target", "label", "status", "shard", "written")),
]
JUNK = [
    b"[]",
    b"7",
    b"null",
    b'{"pa',
    b"{}",
    b'{"path": 7}',
    *(json.dumps({**ROWS[0], **wrong}).encode() for wrong in WRONG),
    b"[" * 100_000,
    b'{"path": "a.png", "target": "x"}',
    b'{"path": "a.png", "shard": [1]}',
    b"\xff\xfe",
    b'{"path": "a", "written": "x"}',
]


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


def test_damaged_lines_of_a_finished_run_are_mended_by_the_next_start(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    assert folder.finish(journal, {})
    with (tmp_path / RESULTS).open("ab") as results:
        results.write(b"\n")
    folder, journal = folder_and_journal(tmp_path)
    assert folder.finish(journal, {})
    assert read_lines(tmp_path) == ROWS
    assert folder_and_journal(tmp_path)[1].damaged == {}


def test_an_image_in_part_explained_that_cannot_be_read_again_ends_the_run(tmp_path):
    journal = Journal(tmp_path, rows_per_image=3)
    journal.add(0, [{**ROWS[0], "target": target} for target in (4, 1)])
    journal.add(0, [{"path": NAMES[0], "error": "it is gone."}])
    journal.scan()
    assert journal.is_done(NAMES[0])
    assert journal.failures(NAMES[:1], 10) == [(NAMES[0], "it is gone.")]


def test_errors_of_images_that_are_not_listed_stay_when_others_are_tried_again(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    failed = [{"path": name, "error": "it is gone."} for name in NAMES]
    journal.add(0, failed)
    assert folder.finish(journal, {})
    folder, journal = folder_and_journal(tmp_path, NAMES[:1])
    journal.mark(0, NAMES[:1])
    assert not folder.finish(journal, {})
    journal.add(0, ROWS[:1])
    assert folder.finish(journal, {})
    assert read_lines(tmp_path) == [ROWS[0], *failed[1:]]


def test_what_another_process_explains_again_is_not_done(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    assert folder.finish(journal, {})
    (folder, journal), (_, other) = (folder_and_journal(tmp_path) for _ in range(2))
    other.mark(1, NAMES[2:])
    assert not folder.finish(journal, {})
    other.add(1, [{**row, "sha256": "new"} for row in ROWS[2:]])
    assert folder.finish(other, {})
    assert [row.get("sha256") for row in read_lines(tmp_path)] == [None, None, "new", "new"]


def test_a_process_killed_while_it_drops_journals_leaves_the_results_as_they_are(tmp_path, monkeypatch):
    folder, journal = folder_and_journal(tmp_path)
    for block, row in enumerate(ROWS):
        journal.add(block, [{**row, "packed": {"mask": block}}])
    drop = RunFolder._drop_blocks

    def killed(folder, merged):
        drop(folder, dict(list(merged.items())[:1]))
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "_drop_blocks", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.finish(journal, {})
    monkeypatch.undo()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != RUN}
    assert len(list((tmp_path / BLOCKS).glob("*.jsonl"))) == 3
    folder, journal = folder_and_journal(tmp_path)
    assert folder.finish(journal, {})
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != RUN}
    assert after == {path: content for path, content in before.items() if BLOCKS not in path.parts}


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


def test_within_a_journal_the_later_line_counts_whatever_the_clocks_say(tmp_path, monkeypatch):
    folder, journal = folder_and_journal(tmp_path, NAMES[:1])
    for moment, sha256 in ((2000, "old"), (1000, "new")):
        monkeypatch.setattr("time.time_ns", lambda moment=moment: moment)
        journal.add(0, [{**ROWS[0], "sha256": sha256}])
    assert folder.finish(journal, {})
    assert read_lines(tmp_path)[0]["sha256"] == "new"


@pytest.mark.parametrize("name", [RESULTS, f"{BLOCKS}/000000.jsonl"])
def test_a_journal_that_cannot_be_read_is_a_sentence_with_its_name(tmp_path, name):
    folder_and_journal(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=rf"{Path(name).name}' cannot be read \(.*\); mend that first\."):
        folder_and_journal(tmp_path)


def test_relative_names_belong_to_one_folder(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    folder, journal = folder_and_journal(tmp_path / "out")
    assert json.loads((tmp_path / "out" / RUN).read_text())["folder"] == str(tmp_path / "one")
    journal.add(0, ROWS)
    assert folder.finish(journal, {})
    monkeypatch.chdir(tmp_path / "two")
    with pytest.raises(
        ValueError, match=r"belong to '.*one', and those that are listed now to another folder; start the"
    ):
        RunFolder(tmp_path / "out", SETTINGS, NAMES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    folder, journal = folder_and_journal(tmp_path / "out")
    assert all(journal.is_done(name) for name in NAMES)
    assert json.loads((tmp_path / "out" / RUN).read_text())["folder"] == str(tmp_path / "moved")


def test_lines_of_pixels_that_were_replaced_are_not_those_of_the_image(tmp_path):
    def line(sha256, time, **more):
        return {**ROWS[0], "sha256": sha256, "bytes": 9, "mtime_ns": time, **more}

    folder, journal = folder_and_journal(tmp_path, ["a.png"])
    journal.add(5, [line("old", 1)])
    journal.add(0, [line("new", 2, target=3)])  # of a later start, with other blocks
    journal.scan()
    assert list(journal.rows(["a.png"])) == [[line("new", 2, target=3)]]
    copied = line("new", 7)
    journal.add(0, [copied])  # another class of the same pixels, whose file was copied meanwhile
    journal.scan()
    assert len(next(journal.rows(["a.png"]))) == 2
    assert folder.finish(journal, {})
    journal.add(0, [{"path": "a.png", "bytes": 4, "mtime_ns": 9, "error": "a.png is damaged."}])
    journal.scan()
    assert journal.failures(["a.png"], 10) == [("a.png", "a.png is damaged.")]
    assert not journal.is_explained("a.png")
