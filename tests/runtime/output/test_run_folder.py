"""The folder of a run: merging, pruning, and processes that share it."""

import errno
import json
import os

import filelock
import numpy as np
import pytest

from tests.runtime.output.run_folders import (
    FIGURES,
    NAMES,
    ROWS,
    SETTINGS,
    folder_and_journal,
    names_in,
    read_lines,
    rows_of,
)
from xaijax.atomic_files import write_mask
from xaijax.runtime.layout import BLOCKS, RESULTS, RUN
from xaijax.runtime.output.result_lines import json_lines
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.partition import Partition


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
    folder.write_figures(Partition(0, 2), {"images_per_s": 1.0})
    assert not folder.finish(journal, {})
    other.add(1, ROWS[3:])
    folder.write_figures(Partition(1, 2), {"images_per_s": 2.0})
    assert folder.finish(other, {})
    assert json.loads((tmp_path / RUN).read_text())["processes"] == [{"images_per_s": 1.0}, {"images_per_s": 2.0}]
    before = (tmp_path / RUN).read_bytes()
    assert rows_of(other) == ROWS
    journal.scan()
    assert rows_of(journal) == ROWS
    assert (tmp_path / RUN).read_bytes() == before


def test_what_was_done_is_kept_when_the_run_is_stopped_again(tmp_path):
    folder, journal = folder_and_journal(tmp_path, NAMES[:1])
    journal.add(0, ROWS[:1])
    assert folder.finish(journal, {})
    for block, row in enumerate(ROWS[1:]):
        folder_and_journal(tmp_path)[1].add(block % 2, [row])
    assert rows_of(folder_and_journal(tmp_path)[1]) == ROWS


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


def test_processes_of_one_run_have_one_list(tmp_path):
    folder, journal = folder_and_journal(tmp_path)
    folder_and_journal(tmp_path, [*NAMES, "another.png"])
    journal.add(0, ROWS)
    with pytest.raises(ValueError, match="start all processes again, with one list"):
        folder.finish(journal, {})


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


def test_where_the_file_system_has_no_locks_a_killed_process_locks_nobody_out(tmp_path, monkeypatch):
    def no_locks(self, *arguments, **options):
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", no_locks)
    folder, journal = folder_and_journal(tmp_path)
    journal.add(0, ROWS)
    (tmp_path / BLOCKS / "merge.holder").write_text("a process that was killed")
    assert folder.finish(journal, {})
    assert names_in(tmp_path) == sorted([RUN, RESULTS])


def test_processes_of_one_list_and_partition_are_through_together(tmp_path):
    first, second = (folder_and_journal(tmp_path)[0] for _ in range(2))
    first.say_through(Partition(0, 2))
    assert not first.are_through(Partition(0, 2))
    second.say_through(Partition(1, 2, block=7))
    assert not first.are_through(Partition(0, 2)), "of other blocks"
    second.say_through(Partition(1, 2))
    assert first.are_through(Partition(0, 2))
    second.begin_share(Partition(1, 2))
    assert not first.are_through(Partition(0, 2))
