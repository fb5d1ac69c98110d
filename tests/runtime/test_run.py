"""Runs: the folder that a run leaves, what bad files cost, and that a stopped run goes on to the same files."""

import dataclasses
import json
import os
import threading
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from tests.runtime.run_files import contents
from xaijax import ELIME, Grid, explain
from xaijax.cli.status import read_progress
from xaijax.models.preprocessing import preprocess
from xaijax.runtime import pipeline
from xaijax.runtime import run as runs
from xaijax.runtime.input.reader import read_item
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.layout import BLOCKS, RESULTS, RUN
from xaijax.runtime.output import writer
from xaijax.runtime.output.heartbeat import FolderInUseError
from xaijax.runtime.output.result_files import read_arrays
from xaijax.runtime.partition import Partition

pytestmark = pytest.mark.quick_compile


@pytest.fixture(scope="module")
def files(tmp_path_factory, toy_images):
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for index, image in enumerate(toy_images[:5]):
        paths.append(folder / f"photo {index}.png")
        Image.fromarray(image).resize((32, 24), Image.Resampling.BICUBIC).save(paths[-1])
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "empty.png").write_bytes(b"")
    return [paths[0], folder / "broken.jpg", *paths[1:4], folder / "empty.png", folder / "missing.png", paths[4]]


@pytest.fixture(scope="module")
def job(toy_classifier):
    method = ELIME(evaluations=40, segmentation=Grid(4, 4), fill="black", max_segments=32)
    everything = ("masks", "scores", "overlays")
    return Job(
        classifier=toy_classifier, method=method, target=-1, seed=3, batch_size=2, save=everything, settings={"seed": 3}
    )


@pytest.fixture(scope="module")
def finished(files, job, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, explained(files, job, out)


def run(images, job, out, **options):
    sources = [image if isinstance(image, Source) else Source(str(image)) for image in images]
    return runs.run(sources, job, out, **options)


def explained(paths, job, out, **options):
    """Runs to the end and returns the lines of the results."""
    outcome = run(paths, job, out, **options)
    rows = [json.loads(line) for line in (out / RESULTS).read_text().splitlines()]
    assert outcome.is_finished
    assert outcome.images == len(paths)
    assert outcome.explained == len({row["path"] for row in rows if "error" not in row})
    assert outcome.failed == sum("error" in row for row in rows)
    return rows


def test_the_folder_holds_what_it_promises(files, finished):
    out, rows = finished
    lines = rows
    assert [line["path"] for line in lines] == [str(path) for path in files]
    assert [index for index, line in enumerate(lines) if "error" in line] == [1, 5, 6]
    assert "broken.jpg is no image of JPEG" in lines[1]["error"]
    assert "empty.png is empty" in lines[5]["error"]
    assert "missing.png does not exist" in lines[6]["error"]
    record = json.loads((out / RUN).read_text())
    assert record["micro_batch"] == 32
    assert record["images_per_s"] > 0
    assert not (out / BLOCKS).exists()
    good = lines[0]
    assert good["crop"] == [0, 0, 32, 24]
    with Image.open(out / "masks" / "000000_photo 0.png") as picture:
        mask = np.asarray(picture)
    score = np.load(out / "scores" / "000000_photo 0.npy")
    assert mask.dtype == bool
    assert mask.mean() == pytest.approx(good["area"], abs=1e-6)
    assert score.shape == mask.shape
    assert score.dtype == np.float32
    with Image.open(out / "overlays" / "000000_photo 0.png") as picture:
        assert picture.width > 800
    assert "photo 0.png" in (out / "index.html").read_text()
    assert len(list(out.rglob("*.part"))) == 0


@pytest.mark.slow
def test_a_run_says_what_explain_says(files, finished, job):
    _, rows = finished
    with Image.open(files[-1]) as photo:
        pixels = preprocess(photo, job.classifier)
    result = explain(jax.random.key(3), job.classifier, pixels[None], method=job.method)
    assert rows[-1]["probability"] == pytest.approx(float(result.probability[0]), abs=1e-6)
    assert rows[-1]["area"] == pytest.approx(float(result.area[0]), abs=1e-6)
    assert rows[-1]["evaluations"] == int(result.evaluations[0])


@pytest.mark.slow
def test_other_batches_and_no_bad_files_give_the_same_files(files, finished, job, tmp_path):
    out, rows = finished
    alone = explained([files[0]], dataclasses.replace(job, batch_size=4), tmp_path)
    assert alone == rows[:1]
    for name in ("masks/000000_photo 0.png", "scores/000000_photo 0.npy", "overlays/000000_photo 0.png"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def damage(kind, path, good):
    """Puts a bad file where an image should be."""
    if kind == "truncated":
        path.write_bytes(good.read_bytes()[:-40])
    elif kind == "text":
        path.write_text("no image")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "unreadable":
        path.symlink_to("/proc/self/mem")


@pytest.mark.slow
def test_one_bad_file_in_ten_of_every_kind_changes_no_other_result(job, tmp_path):
    kinds = ("truncated", "text", "empty", "folder", "loop", "pipe", "unreadable", "missing")
    random = np.random.default_rng(0)
    paths, bad = [], []
    for index in range(10 * len(kinds)):
        path = tmp_path / f"{index:02d}.png"
        if index % 10 == 7:
            bad.append(path)
            damage(kinds[index // 10], path, paths[-1])
        else:
            coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
            coarse.resize((16, 16), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    job = dataclasses.replace(job, batch_size=8, save=("masks", "scores"))
    found = {row["path"]: row for row in explained(paths, job, tmp_path / "with")}
    good = [path for path in paths if path not in bad]
    expected = explained(good, job, tmp_path / "without")
    assert [path for path, row in found.items() if "error" in row] == [str(path) for path in bad]
    for row in expected:
        other = found[row["path"]]
        for ours, theirs in zip(
            read_arrays(tmp_path / "with", other), read_arrays(tmp_path / "without", row), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
        assert other | {"files": row["files"]} == row


def test_a_strip_that_would_be_enormous_is_refused(toy_classifier, tmp_path):
    Image.new("L", (1, 40_000)).save(tmp_path / "strip.png")
    wide = dataclasses.replace(toy_classifier, resize=256)
    item = read_item((0, Source(str(tmp_path / "strip.png"))), wide, {})
    assert item.request is None
    assert item.error == "strip of 1x40000 pixels would be one of 256x10240000; crop it first."


def test_a_stopped_run_goes_on_to_the_same_files(files, finished, job, tmp_path, monkeypatch):
    out, _ = finished
    original, calls = pipeline.write_items, []

    def stop_at_second(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(pipeline, "write_items", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        run(files, job, tmp_path)
    assert len(list((tmp_path / BLOCKS).glob("*.jsonl"))) == 1
    assert not (tmp_path / RESULTS).exists()
    monkeypatch.undo()
    run(files, job, tmp_path)
    assert contents(tmp_path) == contents(out)


def test_a_finished_run_computes_nothing_again(files, finished, job, monkeypatch):
    out, rows = finished
    before = contents(out)
    monkeypatch.setattr(runs, "compile_job", lambda job: pytest.fail("compiled again"))
    assert explained(files, job, out) == rows
    assert contents(out) == before


def test_other_settings_are_refused(files, finished, job):
    with pytest.raises(ValueError, match="seed"):
        run(files, dataclasses.replace(job, settings={"seed": 4}), finished[0])


def test_another_version_goes_on_where_asked_and_its_lines_say_so(files, job, tmp_path):
    old, new = (dataclasses.replace(job, settings=job.settings | {"jax": version}) for version in ("1", "2"))
    run(files[:1], old, tmp_path)
    with pytest.raises(ValueError, match="--allow-version-change"):
        run(files[:4], new, tmp_path)
    outcome = run(files[:4], dataclasses.replace(new, allow_version_change=True), tmp_path)
    assert outcome.is_finished
    rows = [json.loads(line) for line in (tmp_path / RESULTS).read_text().splitlines()]
    assert [row.get("versions") for row in rows if "error" not in row] == [None, {"jax": "2"}, {"jax": "2"}]
    assert json.loads((tmp_path / RUN).read_text())["settings"]["jax"] == "1"


@pytest.mark.slow
def test_several_classes_of_an_image_are_lines_of_their_own(files, job, tmp_path):
    both = dataclasses.replace(job, target="top2", against="runner-up", batch_size=2)
    rows = explained(files, both, tmp_path)
    assert [row["path"] for row in rows if "error" not in row] == [str(files[i]) for i in (0, 2, 3, 4, 7) for _ in "ab"]
    assert sum("error" in row for row in rows) == 3
    with Image.open(files[-1]) as photo:
        pixels = preprocess(photo, job.classifier)
    result = explain(jax.random.key(3), job.classifier, pixels[None], "top2", against="runner-up", method=job.method)
    for index, row in enumerate(rows[-2:]):
        assert (row["target"], row["against"]) == (int(result.target[index]), int(result.against[index]))
        assert row["probability"] == pytest.approx(float(result.probability[index]), abs=1e-6)
        with Image.open(tmp_path / "masks" / f"{row['files']}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), result.mask[index])
    assert len({row["files"] for row in rows if "files" in row}) == 10
    before = contents(tmp_path)
    lines = (tmp_path / RESULTS).read_text().splitlines(keepends=True)
    (tmp_path / RESULTS).unlink()
    (tmp_path / BLOCKS).mkdir()
    (tmp_path / BLOCKS / "000000.jsonl").write_text(
        "".join(lines[:-1])
    )  # stopped between the two lines of the last image
    run(files, both, tmp_path)
    assert contents(tmp_path) == before


def test_a_class_is_not_told_from_itself_and_costs_no_other_image_its_result(files, job, tmp_path):
    plain = explained(files, job, tmp_path / "plain")
    named = next(row["target"] for row in plain if "error" not in row)
    rows = explained(files, dataclasses.replace(job, against=named), tmp_path / "against")
    for row, before in zip(rows, plain, strict=True):
        clashes = before.get("target") == named
        assert ("error" in row) == (clashes or "error" in before)
        if clashes:
            assert "name another" in row["error"]


@pytest.mark.slow
def test_what_a_mask_takes_away_is_said_to_be_missing(files, job, tmp_path):
    method = dataclasses.replace(job.method, game="deletion")
    run(files[:1], dataclasses.replace(job, method=method), tmp_path)
    assert " without " in (tmp_path / "index.html").read_text()


@pytest.mark.slow
def test_an_image_of_one_segment_says_so(job, tmp_path):
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / "flat.png")
    method = dataclasses.replace(job.method, segmentation="quickshift")
    flat = dataclasses.replace(job, method=method, batch_size=1)
    (row,) = explained([tmp_path / "flat.png"], flat, tmp_path / "out")
    assert "single segment" in row["error"]


def test_an_image_that_was_replaced_is_explained_anew_and_that_is_said(files, finished, job, tmp_path, capsys):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    one.write_bytes(files[0].read_bytes())
    two.write_bytes(files[2].read_bytes())
    out = tmp_path / "out"
    first = explained([one, two], job, out)
    os.utime(two, ns=(1, 1))  # copied, and the same
    assert explained([one, two], job, out) == first
    assert capsys.readouterr().err == ""
    two.write_bytes(files[3].read_bytes())
    rows = explained([one, two], job, out)
    assert rows[0] == first[0]
    assert f"1 image is not what was explained, and explained again: {two}." in capsys.readouterr().err
    fresh = explained([one, two], job, tmp_path / "fresh")
    assert rows == fresh
    assert contents(out) == contents(tmp_path / "fresh")
    two.unlink()  # what is gone was explained as it was
    assert explained([one, two], job, out) == rows


def test_a_shorter_list_loses_nothing_and_more_images_extend_a_run(files, job, tmp_path, capsys):
    good = [files[index] for index in (0, 2, 3, 4, 7)]
    out = tmp_path / "out"
    few = explained(good[:3], job, out)
    more = explained(good, job, out)
    assert more[:3] == few
    run(good[3:4], job, out)
    assert "4 explained image(s) that are not listed now stay" in capsys.readouterr().err
    assert [json.loads(line) for line in (out / RESULTS).read_text().splitlines()] == [more[3], *more[:3], more[4]]
    assert len(list((out / "masks").iterdir())) == 5
    assert read_progress(out).left == 0
    assert read_progress(out).images == 5
    run(good[3:4], job, out, prune=True)
    assert explained(good[3:4], job, out) == more[3:4]
    for kind in ("masks", "scores", "overlays"):
        assert [path.stem for path in (out / kind).iterdir()] == [more[3]["files"]]


@pytest.mark.parametrize("kind", ["masks", "scores", "overlays", "packed"])
@pytest.mark.parametrize("damage", ["deleted", "emptied"])
def test_an_explanation_whose_files_are_gone_is_made_again(files, job, tmp_path, capsys, kind, damage):
    everything = dataclasses.replace(job, save=("masks", "scores", "overlays", "packed"))
    explained(files[2:5], everything, tmp_path)
    before = contents(tmp_path)
    file = sorted((tmp_path / kind).iterdir())[-1]
    file.unlink() if damage == "deleted" else file.write_bytes(b"")
    rows = explained(files[2:5], everything, tmp_path)
    told = capsys.readouterr().err
    assert ("3 images are" if kind == "packed" else "1 image is") + " without all files of their explanation" in told
    assert (tmp_path / kind / file.name).read_bytes() == before[f"{kind}/{file.name}"]
    if kind == "packed":
        assert contents(tmp_path) == before
    else:  # what is explained later goes to a shard of its own
        assert [row["shard"] for row in rows] == [0, 0, 1]


def test_a_second_start_leaves_the_first_alone(files, finished, job, tmp_path, monkeypatch):
    original, told = writer.write_items, []

    def start_again(*arguments):
        with pytest.raises(FolderInUseError, match=rf"another process \(number {os.getpid()} on .* is explaining"):
            run(files, job, tmp_path)
        told.append(1)
        return original(*arguments)

    monkeypatch.setattr(pipeline, "write_items", start_again)
    explained(files, job, tmp_path)
    assert told
    assert contents(tmp_path) == contents(finished[0])


def test_a_longer_list_of_images_overwrites_no_files(files, job, tmp_path):
    other = tmp_path / "photos" / files[0].name
    other.parent.mkdir()
    Image.open(files[2]).save(other)
    out = tmp_path / "out"
    (first,) = explained([files[0]], job, out)
    kept = (out / "masks" / f"{first['files']}.png").read_bytes()
    rows = explained([other, files[0]], job, out)
    assert rows[1] == first
    assert rows[0]["files"] != rows[1]["files"]
    assert (out / "masks" / f"{rows[1]['files']}.png").read_bytes() == kept


def test_a_run_that_is_told_to_stop_writes_what_is_in_flight_and_goes_on(files, finished, job, tmp_path, monkeypatch):
    stop, original = threading.Event(), runs.compile_job

    def stop_at_second(images):
        for index, image in enumerate(images):
            if index == 1:
                stop.set()
            yield image

    def compile_stopped(job):
        explain = original(job)
        return lambda images: explain(stop_at_second(images))

    monkeypatch.setattr(runs, "compile_job", compile_stopped)
    outcome = run(files, job, tmp_path, stop=stop)
    assert outcome.is_stopped
    assert not outcome.is_finished
    assert outcome.explained == 2
    assert len(list((tmp_path / "masks").iterdir())) == outcome.explained
    monkeypatch.undo()
    explained(files, job, tmp_path)
    assert contents(tmp_path) == contents(finished[0])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_processes_that_share_a_run_write_the_files_of_one(files, finished, job, tmp_path, order):
    for index in order[:-1]:
        outcome = run(files, job, tmp_path, partition=Partition(index, 3, 2))
        assert not outcome.is_finished
        assert not outcome.is_stopped
        assert not (tmp_path / RESULTS).exists()
    assert run(files, job, tmp_path, partition=Partition(order[-1], 3, 2)).is_finished
    assert contents(tmp_path) == contents(finished[0])
    told = json.loads((tmp_path / RUN).read_text())["processes"]
    assert [process["process"]["index"] for process in told] == [0, 1, 2]
    assert run(files, job, tmp_path, partition=Partition(0, 3, 2)).is_finished


def test_processes_that_do_not_see_each_others_files_in_the_folder_still_finish(
    files, finished, job, tmp_path, monkeypatch
):
    """Simulates a network's file system, whose listing of a folder may be behind; a file asked for by name is found."""
    out, hidden = tmp_path / "run", set()
    listing = Path.glob

    def late(self, pattern):
        return (file for file in listing(self, pattern) if file.name not in hidden)

    monkeypatch.setattr(Path, "glob", late)
    hidden.update({"000001.jsonl", "000003.jsonl"})  # the blocks of the second process
    run(files, job, out, partition=Partition(0, 2, block=2))
    assert not (out / RESULTS).exists()
    hidden = {"000000.jsonl", "000002.jsonl"}
    outcome = run(files, job, out, partition=Partition(1, 2, block=2))
    assert outcome.is_finished
    assert (out / RESULTS).read_bytes() == (finished[0] / RESULTS).read_bytes()
    assert not (out / BLOCKS).exists()


def test_a_run_that_is_explained_and_not_merged_says_what_to_do(files, job, tmp_path, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr(runs.RunFolder, "finish", lambda *arguments, **options: False)
    monkeypatch.setattr(runs, "LOOKS_S", (0.0,))
    assert not run(files[:3], job, out).is_finished
    assert str(read_progress(out)).endswith("0 left; start the command once more, which puts the results together.")


def test_another_number_of_processes_goes_on_where_some_died(files, finished, job, tmp_path):
    run(files, job, tmp_path, partition=Partition(1, 4, 1))
    assert not run(files, job, tmp_path, partition=Partition(0, 2, 3)).is_finished
    assert run(files, job, tmp_path, partition=Partition(1, 2, 3)).is_finished
    assert contents(tmp_path) == contents(finished[0])


def test_failed_images_are_tried_again_where_asked(files, job, tmp_path):
    broken = tmp_path / "later.png"
    out = tmp_path / "out"
    paths = [files[0], broken]
    assert "does not exist" in explained(paths, job, out)[1]["error"]
    Image.open(files[2]).save(broken)
    assert "does not exist" in explained(paths, job, out)[1]["error"]
    rows = explained(paths, job, out, retry_errors=True)
    assert "error" not in rows[1]
    broken.unlink()
    assert explained(paths, job, out, retry_errors=True) == rows


def test_a_full_disk_is_said_and_the_run_goes_on_once_there_is_room(files, finished, job, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "write_files", fail)
    with pytest.raises(ValueError, match=r"cannot write to .* \(No space left on device\); fix that and run the same"):
        run(files, job, tmp_path)
    monkeypatch.undo()
    explained(files, job, tmp_path)
    assert contents(tmp_path) == contents(finished[0])


def test_the_progress_is_told_to_machines_and_the_search_traced(files, job, tmp_path, capsys):
    roofline = run(files, job, tmp_path / "out", log_json=True, profile=tmp_path / "trace").roofline
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["done"] + line["left"] for line in told] == [8] * len(told)
    assert told[-1]["left"] == 0
    assert told[-1]["evaluations_per_s"] > told[-1]["images_per_s"] > 0
    assert any((tmp_path / "trace").rglob("*.pb"))
    record = json.loads((tmp_path / "out" / RUN).read_text())
    assert record["roofline"] == dataclasses.asdict(roofline)
    assert 0 < record["evaluations_per_s"] == roofline.evaluations_per_s < roofline.forward_per_s


def test_an_image_of_a_list_has_its_own_class_and_key(files, job, tmp_path):
    name = str(files[0])
    sources = [Source(name), Source(name, target="4"), Source(name, target="0", id=7)]
    rows = [explained([source], job, tmp_path / str(index))[0] for index, source in enumerate(sources)]
    assert [row["target"] for row in rows[1:]] == [4, 0]
    with Image.open(files[0]) as photo:
        pixels = preprocess(photo, job.classifier)
    for row, ids in zip(rows[1:], (None, [7]), strict=True):
        found = explain(jax.random.key(3), job.classifier, pixels[None], [row["target"]], ids=ids, method=job.method)
        assert row["probability"] == pytest.approx(float(found.probability[0]), abs=1e-6)
        assert row["area"] == pytest.approx(float(found.area[0]), abs=1e-6)
    again = explained([sources[2]], job, tmp_path / "again")
    assert again[0]["id"] == 7
    other = explained([dataclasses.replace(sources[2], id=8)], job, tmp_path / "again")  # which is another search
    assert other == explained([dataclasses.replace(sources[2], id=8)], job, tmp_path / "other")
    with pytest.raises(ValueError, match="names targets, but target is 'top2'"):
        run(sources, dataclasses.replace(job, target="top2"), tmp_path / "top")
    with pytest.raises(ValueError, match="not a class of this classifier"):
        run([Source(name, target="9")], job, tmp_path / "none")


@pytest.mark.slow
def test_a_device_that_is_too_small_is_said_with_the_option_that_helps(files, finished, job, tmp_path, monkeypatch):
    original = runs.compile_job

    def compile_for_one(job):
        def explain_all(images):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

        return explain_all if job.batch_size > 1 else original(job)

    monkeypatch.setattr(runs, "compile_job", compile_for_one)
    with pytest.raises(ValueError, match=r"2 images at a time do not fit .*; the same command with --batch-size 1"):
        run(files, job, tmp_path)
    explained(files, dataclasses.replace(job, batch_size=1), tmp_path)
    assert contents(tmp_path) == contents(finished[0])


def test_a_list_that_asks_for_another_class_is_refused(files, job, tmp_path):
    name = str(files[0])
    explained([Source(name, target="4")], job, tmp_path)
    with pytest.raises(ValueError, match=r"explains another class of .* than the list asks for now; name another"):
        run([Source(name, target="3")], job, tmp_path)
    with pytest.raises(ValueError, match="asks for two classes of"):
        run([Source(name, target="3"), Source(name, target="2")], job, tmp_path / "two")


def test_masks_and_scores_can_be_packed_and_the_photograph_drawn_at_its_size(files, finished, job, tmp_path):
    packed = dataclasses.replace(job, save=("packed", "full-size"))
    rows = explained(files, packed, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {RUN, RESULTS, "packed", "full-size", "index.html"}
    for row, expected in zip(rows, finished[1], strict=True):
        if "error" in row:
            assert row == expected
            continue
        assert row.pop("shard") == 0
        sizes = row.pop("saved")
        assert sizes["packed"] == (tmp_path / "packed" / "000000.jsonl.gz").stat().st_size
        assert row == {name: value for name, value in expected.items() if name != "saved"}
        mask, score = read_arrays(tmp_path, row | {"shard": 0})
        np.testing.assert_array_equal(mask, read_arrays(finished[0], row)[0])
        np.testing.assert_array_equal(score, read_arrays(finished[0], row)[1])
        with Image.open(tmp_path / "full-size" / f"{row['files']}.jpg") as picture:
            assert picture.size == tuple(row["size"]) == (32, 24)
        left, top, right, bottom = row["box"]
        assert 0 <= left < right <= 32
        assert 0 <= top < bottom <= 24
    before = contents(tmp_path)
    explained(files, packed, tmp_path)
    assert contents(tmp_path) == before


def test_a_disk_that_is_full_at_the_end_is_said_too(files, finished, job, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs.RunFolder, "finish", fail)
    with pytest.raises(ValueError, match=r"\(No space left on device\); fix that and run the same command again"):
        run(files, job, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(runs, "compile_job", lambda job: pytest.fail("compiled again"))
    explained(files, job, tmp_path)
    assert contents(tmp_path) == contents(finished[0])
