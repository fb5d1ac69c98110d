"""The folder of a run: files whole or not at all, and a journal that survives a sudden end."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from xaijax.runtime.folder import (
    JOURNAL,
    RESULTS,
    RUN,
    RunFolder,
    json_lines,
    write_array,
    write_json,
    write_mask,
    write_whole,
)

SETTINGS = {"seed": 0, "method": {"evaluations": 240, "crop": (1, 2)}, "model": "resnet"}
# A name in other letters, one with a line separator, and one that is no valid UTF-8 on disk.
ROWS = [{"path": name, "area": 0.5} for name in ("a.png", "жук.png", "one\u2028two\x85.png", "caf\udce9.png")]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep/er/file"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(path.parent) == ["file"]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    write_whole(path, b"old")
    original = type(path).write_bytes

    def fail(self, content):
        if step == "write_bytes":
            original(self, b"half")
        raise OSError("no space left")

    monkeypatch.setattr(type(path), step, fail)
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, b"new content")
    assert path.read_bytes() == b"old"
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


def test_a_finished_run_is_read_again(tmp_path):
    folder = RunFolder(tmp_path / "out", SETTINGS)
    assert folder.done == {}
    for row in reversed(ROWS):
        folder.add([row])
    folder.finish(ROWS, {"images": 4})
    assert names_in(folder.path) == sorted([RUN, RESULTS])
    assert (folder.path / RESULTS).read_bytes() == json_lines(ROWS)
    assert json.loads((folder.path / RUN).read_text()) == {
        "settings": json.loads(json.dumps(SETTINGS)),
        "images": 4,
    }
    assert RunFolder(tmp_path / "out", SETTINGS).done == {row["path"]: [row] for row in ROWS}


def test_a_journal_torn_at_any_byte_loses_its_last_line_alone(tmp_path):
    RunFolder(tmp_path, SETTINGS)
    first, last = json_lines(ROWS[:3]), json_lines(ROWS[3:])
    for kept in range(len(last) - 1):
        (tmp_path / JOURNAL).write_bytes(first + last[:kept])
        folder = RunFolder(tmp_path, SETTINGS)
        assert list(folder.done.values()) == [[row] for row in ROWS[:3]]
        folder.add([{"path": "later.png"}])
        assert list(RunFolder(tmp_path, SETTINGS).done) == [*(row["path"] for row in ROWS[:3]), "later.png"]


def test_what_was_done_is_kept_when_the_run_is_stopped_again(tmp_path):
    RunFolder(tmp_path, SETTINGS).finish(ROWS[:1], {})
    for row in ROWS[1:]:
        RunFolder(tmp_path, SETTINGS).add([row])
    assert RunFolder(tmp_path, SETTINGS).done == {row["path"]: [row] for row in ROWS}


def test_a_run_of_other_settings_is_refused_and_stays(tmp_path):
    RunFolder(tmp_path, SETTINGS).finish(ROWS, {"images": 4})
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
    other = {**SETTINGS, "seed": 1, "fill": "blur"}
    message = "holds a run with other settings: fill (None then, 'blur' now), seed (0 then, 1 now); name another folder"
    with pytest.raises(ValueError, match=re.escape(message)):
        RunFolder(tmp_path, other)
    assert before == {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot write to '.*file' \(.+\); name another folder\."):
        RunFolder(tmp_path / "file", SETTINGS)
