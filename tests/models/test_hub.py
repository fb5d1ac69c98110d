"""Weights by `hf:`, with a stand-in for the hub, and with its library offline."""

import json
import sys
import types

import pytest

import xaijax
from tests.models.published import published_file

NAME = "mobilenet_v3_small_050"
CONFIG = {
    "architecture": "mobilenetv3_small_050",
    "num_classes": 12,
    "pretrained_cfg": {
        "input_size": [3, 192, 160],
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
    },
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A folder that stands for the hub's repository, and the calls made to it."""
    calls = []

    def hf_hub_download(repo_id, filename, *, revision=None):
        calls.append((repo_id, filename, revision))
        path = tmp_path / filename
        if not path.exists():
            raise FileNotFoundError(f"404: {filename}")
        return str(path)

    module = types.ModuleType("huggingface_hub")
    module.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    published_file(tmp_path, NAME, "timm", num_classes=12).rename(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path, calls


def test_facts_come_from_the_repository(hub):
    classifier = xaijax.models.load(NAME, "hf:timm/some.in1k@abc123", mean=(0.1, 0.1, 0.1))
    assert hub[1] == [
        ("timm/some.in1k", "model.safetensors", "abc123"),
        ("timm/some.in1k", "config.json", "abc123"),
    ]
    assert classifier.num_classes == 12
    assert (classifier.input_size, classifier.resize, classifier.interpolation) == ((192, 160), 177, "bicubic")
    assert (classifier.mean, classifier.std) == ((0.1, 0.1, 0.1), (0.2, 0.3, 0.4))


def test_tensorflow_weights_bring_their_padding(hub):
    (hub[0] / "config.json").write_text(json.dumps(CONFIG | {"architecture": "tf_mobilenetv3_small_050"}))
    same = xaijax.models.load(NAME, "hf:timm/some")
    assert same.apply.graph != xaijax.models.load(NAME, hub[0] / "model.safetensors", num_classes=12).apply.graph


def test_what_the_hub_refuses(hub):
    with pytest.raises(ValueError, match="is no repository; write hf:owner/repo"):
        xaijax.models.load(NAME, "hf:resnet50")
    with pytest.raises(ValueError, match="holds a mobilenetv3_small_050, not a resnet18; load it by that name"):
        xaijax.models.load("resnet18", "hf:timm/some")
    (hub[0] / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        xaijax.models.load(NAME, "hf:timm/some")
    (hub[0] / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"could not be fetched .*404.*check the name and the network"):
        xaijax.models.load(NAME, "hf:timm/some")


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'xaijax\[hub\]'"):
        xaijax.models.load(NAME, "hf:timm/some")


def test_the_library_offline_finds_its_cache(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the hub extra")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="could not be fetched"):
        xaijax.models.load(NAME, "hf:timm/some")
    folder = tmp_path / "models--timm--some"
    snapshot = folder / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)
    published_file(snapshot, NAME, "timm", num_classes=12).rename(snapshot / "model.safetensors")
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    assert xaijax.models.load(NAME, "hf:timm/some").num_classes == 12
