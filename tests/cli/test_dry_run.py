"""What a run would do, told before it does anything."""

import json
import re

import jax
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from PIL import Image

from xaijax.cli.main import main
from xaijax.cli.make_job import digest_of
from xaijax.scenes.generator import generate

pytestmark = pytest.mark.quick_compile

FAST = ["--model", "scenes-resnet", "--evaluations", "30", "--segmentation", "grid", "--batch-size", "2"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index, image in enumerate(jax.device_get(generate(jax.random.split(jax.random.key(2), 5))).image):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


def told(capsys):
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())


@pytest.mark.slow
def test_a_dry_run_counts_what_is_left_and_writes_nothing(photos, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["explain", str(photos), *FAST, "--save", "scores", "--out", str(out)]
    assert main([*command, "--dry-run"]) == 0
    assert not out.exists()
    lines = told(capsys)
    assert lines["images"].startswith("5; 5 left to explain")
    assert lines["evaluations"] == "at most 30 an image, 150 in all"
    assert re.search(r"2 images at a time, micro-batch \d+$", lines["devices"])
    assert re.fullmatch(r"about 0:0\d:\d\d, from \d+\.\d ms a forward pass; segmentation comes on top", lines["time"])
    assert main([*command, "--dry-run", "--processes", "2", "--process-index", "1", "--block-size", "2"]) == 0
    assert told(capsys)["images"].startswith("5, 2 of them in the share of this process; 2 left")

    assert main(command) == 0
    written = sum(path.stat().st_size for path in (out / "scores").iterdir())
    assert float(re.search(r"about ([\d.]+) MB", lines["disk"])[1]) == pytest.approx(written / 1e6, abs=0.06)
    capsys.readouterr()
    before = (out / "run.json").read_bytes()
    assert main([*command, "--dry-run"]) == 0
    assert told(capsys)["images"].startswith("5; 0 left")
    assert (out / "run.json").read_bytes() == before


@pytest.mark.slow
def test_warmup_compiles_what_explain_then_finds(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jax.clear_caches()  # of the test before
    reset_cache()
    assert main(["warmup", *FAST]) == 0
    assert re.search(r"^compiled in [\d.]+ s; kept in .*cache", capsys.readouterr().out)
    kept = {path.name for path in (tmp_path / "cache").rglob("*-cache")}
    jax.clear_caches()
    assert main(["explain", str(photos), *FAST, "--out", str(tmp_path / "run")]) == 0
    large = [path for path in (tmp_path / "cache").rglob("*-cache") if path.stat().st_size > 100_000]
    assert kept
    assert {path.name for path in large} <= kept


def test_weights_are_known_by_their_content(photos, tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"one")
    first = digest_of(str(weights))
    weights.write_bytes(b"two")
    assert len({first, digest_of(str(weights))}) == 2
    assert digest_of(None) is None
    folder = digest_of(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert digest_of(str(tmp_path)) != folder
    assert main(["explain", str(photos / "0.png"), *FAST, "--out", str(tmp_path / "run")]) == 0
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert {"weights_sha256", "micro_batch", "version", "jax", "options"} <= set(settings)
