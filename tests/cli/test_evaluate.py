"""The metrics of a run's folder: what is measured, what is skipped, and what cannot be evaluated."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from xaijax.cli.evaluate import METRICS, evaluate_run
from xaijax.cli.explained_run import other_photographs
from xaijax.cli.main import main
from xaijax.metrics import area_under_curve, deletion_curve
from xaijax.metrics.suite import BETTER
from xaijax.models import load

pytestmark = pytest.mark.quick_compile

FAST = [
    "--fill",
    "blur",
    "--model",
    "scenes-resnet",
    "--evaluations",
    "30",
    "--segmentation",
    "grid",
    "--batch-size",
    "2",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    coarse = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    (folder / "photos").mkdir()
    for index, image in enumerate(coarse):
        Image.fromarray(image).resize((64, 64), Image.Resampling.NEAREST).save(folder / "photos" / f"{index}.png")
    (folder / "photos" / "broken.png").write_bytes(b"no image")
    assert main(["explain", str(folder / "photos"), *FAST, "--out", str(folder / "run")]) == 1
    (folder / "boxes.csv").write_text("\ufeffname,x0,y0,x1,y1\n0.png,8,8,40,32\n1.png,0,0,16,64\n1.png,32,0,64,64\n")
    return folder


@pytest.fixture(scope="module")
def evaluated(run):
    found = evaluate_run(run / "run", steps=8, boxes=run / "boxes.csv", batch_size=2)
    return found, json.loads((run / "run" / METRICS).read_text())


def test_every_metric_is_measured_of_every_image(evaluated):
    found, record = evaluated
    assert list(record["metrics"]) == list(BETTER) == list(found.summaries)
    for name, summary in record["metrics"].items():
        values = [image[name] for image in record["images"] if image[name] is not None]
        assert len(values) == summary["images"] == (2 if name.startswith(("box", "pointing", "energy")) else 3)
        assert summary["mean"] == pytest.approx(np.mean(values), abs=1e-5)
        assert summary["low"] <= summary["mean"] <= summary["high"]
    assert len(record["skipped"]) == 1
    assert "not explained" in record["skipped"][0]["error"]


def test_the_figures_are_those_of_the_run_and_of_the_metrics(run, evaluated):
    _, record = evaluated
    assert record["fill"] == "blur"  # the run's own
    rows = [json.loads(line) for line in (run / "run" / "results.jsonl").read_text().splitlines()]
    for row, image in zip([row for row in rows if "error" not in row], record["images"], strict=True):
        assert image["path"] == row["path"]
        for name in ("original_probability", "probability", "area", "cp_score"):
            assert image[name] == pytest.approx(row[name], abs=1e-4)
    last = rows[2]
    assert last["path"].endswith("2.png")
    with Image.open(last["path"]) as picture:
        pixels = np.asarray(picture)
    scores = np.load(run / "run" / "scores" / "000002_2.npy")
    curves = deletion_curve(
        load("scenes-resnet"), np.stack([pixels] * 2), np.stack([scores] * 2), [last["target"]] * 2, steps=8
    )
    area = area_under_curve(curves.fractions, curves.probability)[0]
    assert record["images"][2]["deletion"] == pytest.approx(area, abs=1e-5)


def test_the_command_prints_a_table_and_says_what_it_skipped(run, evaluated, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run / "run", folder)
    assert main(["evaluate", str(folder), "--steps", "8", "--batch-size", "2"]) == 1
    printed = capsys.readouterr()
    assert "3 of 4 images evaluated; the masks' fill is blur" in printed.out
    assert "broken.png" in printed.err
    assert "box_iou" not in printed.out
    for name in ("deletion", "insertion", "irof", "road_probability", "sparseness"):
        assert name in printed.out
    assert (folder / METRICS).exists()


def test_the_explanations_are_judged_under_every_fill(run, evaluated):
    found, record = evaluated
    judged = record["judged"]
    assert judged["searched"] == "blur"
    assert list(judged["fills"]) == ["black", "blur", "image-mean", "elsewhere", "mean"]
    rows = [json.loads(line) for line in (run / "run" / "results.jsonl").read_text().splitlines()]
    pixels = np.stack([np.asarray(Image.open(row["path"])) for row in rows if "error" not in row])
    scores = np.stack([np.load(run / "run" / "scores" / f"00000{i}_{i}.npy") for i in range(3)])
    targets = [row["target"] for row in rows if "error" not in row]
    elsewhere = pixels[[other[0] for other in other_photographs(rows)[:3]]] / np.float32(255)
    curves = deletion_curve(load("scenes-resnet"), pixels, scores, targets, steps=8, fills=elsewhere)
    areas = area_under_curve(curves.fractions, curves.probability)
    for image, area in zip(record["images"], areas, strict=True):
        assert image["judged"]["elsewhere"]["deletion"] == pytest.approx(area, abs=1e-5)
        assert image["judged"]["blur"]["holds"] == float(image["probability"] >= 0.9 * image["original_probability"])
        others = [image["judged"][fill]["holds"] for fill in ("black", "image-mean", "elsewhere")]
        assert image["transfer"] == pytest.approx(np.mean(others), abs=1e-5)
    for metric in ("insertion", "deletion", "smallest_area", "holds"):
        of_fills = [judged["fills"][fill][metric]["mean"] for fill in ("black", "blur", "image-mean", "elsewhere")]
        assert judged["fills"]["mean"][metric]["mean"] == pytest.approx(np.mean(of_fills), abs=1e-5)
    assert judged["transfer"]["mean"] == pytest.approx(
        np.mean([image["transfer"] for image in record["images"]]), abs=1e-5
    )
    assert "share of masks that hold under fills other than the search's, blur" in found.as_text()


def test_a_single_photograph_is_judged_without_elsewhere(run, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["explain", str(run / "photos" / "0.png"), *FAST, "--out", str(out)]) == 0
    assert list(evaluate_run(out, steps=2).judged.fills) == ["black", "blur", "image-mean"]
    assert main(["evaluate", str(out), "--steps", "2", "--fills", "elsewhere"]) == 2
    assert "no second photograph" in capsys.readouterr().err
    assert main(["evaluate", str(out), "--steps", "2", "--fills", "blur"]) == 0
    assert "transfer is not known" in capsys.readouterr().out


def edited(run, folder, edit):
    """Returns a copy of the run in which every path of the results went through `edit`."""
    shutil.copytree(run / "run", folder)
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    rows = [row | edit(row) for row in rows]
    (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_what_cannot_be_evaluated_says_why_in_a_sentence(run, tmp_path, capsys):
    shutil.copytree(run / "run", tmp_path / "maskless")
    shutil.rmtree(tmp_path / "maskless" / "scores")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    shutil.copy(run / "run" / "run.json", unfinished)
    moved = edited(run, tmp_path / "moved", lambda row: {"path": row["path"] + ".moved"})
    changed = edited(run, tmp_path / "changed", lambda row: {"sha256": "0"})
    strangers, broken = tmp_path / "strangers.csv", tmp_path / "broken.csv"
    strangers.write_text("name,x0,y0,x1,y1\nother.png,1,2,3,4\n")
    broken.write_text("name,x0,y0,x1\n0.png,1,2,3\n")
    inverted, unknown = tmp_path / "inverted.csv", tmp_path / "unknown.csv"
    inverted.write_text("name,x0,y0,x1,y1\n0.png,1,2,3,4\n0.png,3,2,1,4\n")
    unknown.write_text("name,x0,y0,x1,y1\n0.png,nan,2,3,4\n")
    finished = str(run / "run")
    for arguments, message in (
        ([str(tmp_path / "nowhere")], "holds no run"),
        ([str(unfinished)], "no finished run"),
        ([str(tmp_path / "maskless")], "--save masks scores"),
        ([str(moved)], "no longer at"),
        ([str(changed)], "has changed"),
        ([finished, "--boxes", str(strangers)], "names none of the images"),
        ([finished, "--boxes", str(broken)], "line 2"),
        ([finished, "--boxes", str(inverted)], "is no box: 3,2,1,4; x0 must be below x1"),
        ([finished, "--boxes", str(unknown)], "is no box: nan,2,3,4; x0 must be below x1"),
        ([finished, "--boxes", str(tmp_path / "nowhere.csv")], "cannot be read"),
        ([finished, "--fill", "red"], "choose one of black"),
        ([finished, "--fill", "segment-mean"], "segments of the run"),
        ([finished, "--fills", "black,red"], "choose one of black"),
        ([finished, "--fills", "segment-mean"], "segments of a search"),
        ([finished, "--steps", "0"], "at least 1"),
        ([finished, "--weights", str(tmp_path)], "config.json"),
    ):
        assert main(["evaluate", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith("xaijax: ")
        assert message in error
