"""What `run.json` protects: other settings, other folders, damaged records."""

import json
import re

import pytest

from tests.runtime.output.run_folders import (
    NAMES,
    ROWS,
    SETTINGS,
    folder_and_journal,
    names_in,
)
from xaijax.cli.evaluate import evaluate_run
from xaijax.cli.status import read_progress
from xaijax.runtime.layout import BLOCKS, RESULTS, RUN
from xaijax.runtime.output.page_file import write_page
from xaijax.runtime.output.run_folder import RunFolder


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


def test_a_file_may_lie_elsewhere_where_its_content_is_the_same(tmp_path):
    settings = {**SETTINGS, "weights": "a.safetensors", "weights_sha256": "1", "labels": "a.txt", "labels_sha256": "2"}
    RunFolder(tmp_path, settings, NAMES)
    RunFolder(tmp_path, settings | {"weights": "b.safetensors", "labels": "deep/a.txt"}, NAMES)
    with pytest.raises(ValueError, match="weights_sha256"):
        RunFolder(tmp_path, settings | {"weights": "b.safetensors", "weights_sha256": "3"}, NAMES)
    other = tmp_path / "other"
    RunFolder(other, settings | {"weights_sha256": None}, NAMES)
    with pytest.raises(ValueError, match="weights"):
        RunFolder(other, settings | {"weights_sha256": None, "weights": "b.safetensors"}, NAMES)


def test_other_versions_go_on_where_that_is_allowed_and_the_record_keeps_the_first(tmp_path):
    settings = {**SETTINGS, "version": "0.1.0", "jax": "0.10.2"}
    RunFolder(tmp_path, settings, NAMES)
    newer = settings | {"jax": "0.12.0"}
    with pytest.raises(ValueError, match=r"jax \('0\.10\.2' then, .*; --allow-version-change goes on"):
        RunFolder(tmp_path, newer, NAMES)
    folder = RunFolder(tmp_path, newer, NAMES, allow_version_change=True)
    assert folder.versions == {"jax": "0.12.0"}
    assert folder.settings["jax"] == "0.10.2"
    assert RunFolder(tmp_path, settings, NAMES, allow_version_change=True).versions == {}
    with pytest.raises(ValueError, match="seed"):
        RunFolder(tmp_path, newer | {"seed": 5}, NAMES, allow_version_change=True)


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
