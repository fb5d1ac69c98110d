"""Files that are whole or absent."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.runtime.output.run_folders import (
    names_in,
)
from xaijax.atomic_files import atomic_file, atomic_write, write_array, write_json, write_mask, write_new
from xaijax.runtime.layout import RUN


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


def test_only_the_first_of_several_processes_writes_a_new_file(tmp_path):
    write_new(tmp_path / RUN, b"first")
    write_new(tmp_path / RUN, b"second")
    assert (tmp_path / RUN).read_bytes() == b"first"
    assert names_in(tmp_path) == [RUN]


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
