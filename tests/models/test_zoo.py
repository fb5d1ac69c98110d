"""What `load` takes, what it refuses and how it says so, and the way to a file and back."""

import json
import pickle

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import xaijax
from tests.models.published import layout_of, published_arrays, published_file, random_images
from xaijax.models.architectures import ARCHITECTURES, own_name
from xaijax.models.weights import is_whole
from xaijax.models.zoo import is_embedded

SMALL = "mobilenet_v3_small_050"
FAMILIES = ["resnet20_cifar", "densenet_bc_100_12_cifar", "mobilenet_v1", "mobilenet_v2_035", SMALL]


def load_small(path, **options):
    return xaijax.models.load(SMALL, path, num_classes=10, **options)


def write(folder, arrays):
    path = folder / "weights.safetensors"
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, str(path))
    return path


def same_params(one, other):
    return jax.tree.all(jax.tree.map(np.array_equal, one.params, other.params))


@pytest.mark.parametrize("name", FAMILIES)
def test_round_trip_gives_the_same_bits(name, tmp_path):
    source = "CIFAR" if name == "resnet20_cifar" else "timm"
    file = published_file(tmp_path, name, source)
    labels = [f"class {i}" for i in range(10)]
    classifier = xaijax.models.load(name, file, num_classes=10, labels=labels, padding="same", mean=(0.1, 0.2, 0.3))
    xaijax.models.save(classifier, tmp_path / "saved", dtype="float32")
    again = xaijax.models.load(name, tmp_path / "saved")
    assert jax.tree.structure(again) == jax.tree.structure(classifier)
    assert same_params(again, classifier)
    assert again.label(3) == "class 3"
    xaijax.models.save(classifier, tmp_path / "half")
    smaller = xaijax.models.load(name, tmp_path / "half", mean=(0, 0, 0), labels=labels[::-1])
    assert (smaller.mean, smaller.label(0)) == ((0.0, 0.0, 0.0), "class 9")
    for full, half in zip(jax.tree.leaves(classifier.params), jax.tree.leaves(smaller.params), strict=True):
        np.testing.assert_allclose(half, full, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in ("scenes-resnet", "scenes-densenet") if is_embedded(name)])
def test_embedded_networks_load_without_a_file(name):
    classifier = xaijax.models.load(name)
    assert (classifier.num_classes, classifier.input_size, len(classifier.labels)) == (10, (64, 64), 10)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_files_of_other_types_load(dtype, tmp_path):
    arrays = published_arrays(SMALL, "timm")
    path = write(tmp_path, {key: array.astype(dtype) for key, array in arrays.items()})
    params = load_small(path).params
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


def test_layouts_are_recognised_and_data_parallel_names_too(tmp_path):
    arrays = published_arrays("mobilenet_v3_small", "timm")
    by_target = {target: key for key, target in layout_of("mobilenet_v3_small", "torchvision").table.items() if target}
    timm = layout_of("mobilenet_v3_small", "timm").table
    renamed = {by_target[timm[key]]: array for key, array in arrays.items() if timm[key]}
    load = xaijax.models.load
    one = load("mobilenet_v3_small", write(tmp_path, renamed), num_classes=10)
    # timm's own batch norms add 1e-5 to the variance, torchvision's 1e-3: the same arrays are other networks.
    assert not same_params(one, load("mobilenet_v3_small", write(tmp_path, arrays), num_classes=10))
    parallel = {f"module.{key}": array for key, array in renamed.items()}
    assert same_params(one, load("mobilenet_v3_small", write(tmp_path, parallel), num_classes=10))


def test_older_densenet_names_load(tmp_path):
    arrays = published_arrays("densenet_bc_100_12_cifar", "older", num_classes=10)
    assert "features.denseblock1.denselayer1.norm.1.weight" in arrays
    xaijax.models.load("densenet_bc_100_12_cifar", write(tmp_path, arrays), num_classes=10)


def test_all_that_does_not_fit_is_told_together(tmp_path):
    arrays = published_arrays(SMALL, "timm")
    arrays["classifier.weight"] = np.zeros((7, 1024), np.float32)
    arrays["bn1.bias"] = np.full(16, np.nan, np.float32)
    arrays["stranger"] = np.zeros(3, np.float32)
    del arrays["conv_stem.weight"]
    with pytest.raises(ValueError, match="does not fit the model in 4 places") as caught:
        load_small(write(tmp_path, arrays))
    for line in (
        "shape: classifier.weight is [1024, 7], needed [1024, 10]",
        "not finite: bn1.bias",
        "surplus: stranger [3]",
        "missing: conv_stem.weight [3, 3, 3, 16]",
    ):
        assert line in str(caught.value)


def test_a_file_of_another_network_is_named(tmp_path):
    with pytest.raises(ValueError, match="its keys are those of mobilenet_v1"):
        load_small(published_file(tmp_path, "mobilenet_v1", "timm"))


def test_a_truncated_file_is_refused(tmp_path):
    path = published_file(tmp_path, SMALL, "timm")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_small(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_small(path)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('the pickle was executed')",)


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".pt", ".safetensors"])
def test_a_pickle_is_never_executed(suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"asks to run \w+\.exec, which is not done|not a whole safetensors file"):
        load_small(path)


def test_bad_names_and_places():
    with pytest.raises(ValueError, match="did you mean resnet50"):
        xaijax.models.load("resnet-50", "anything")
    with pytest.raises(ValueError, match="comes without weights"):
        xaijax.models.load("resnet50")
    with pytest.raises(ValueError, match="is not a file; check the path"):
        xaijax.models.load("resnet50", "nowhere.safetensors")


def test_a_folder_that_save_did_not_write(tmp_path):
    with pytest.raises(ValueError, match=r"no readable config\.json"):
        load_small(tmp_path)
    (tmp_path / "config.json").write_text('{"name": "resnet18"}')
    with pytest.raises(ValueError, match=r"no readable config\.json"):
        load_small(tmp_path)


DAMAGED = {
    "num_classes": "1000",
    "channels": 0,
    "input_size": [224],
    "resize": "all",
    "interpolation": "nearest",
    "mean": ["a", "b", "c"],
    "std": [1, float("nan"), 1],
    "activation": "none",
    "labels": 7,
    "padding": 7,
}


@pytest.mark.parametrize("fact", DAMAGED)
def test_a_damaged_config_gets_one_sentence(tmp_path, fact):
    xaijax.models.save(xaijax.models.load("scenes-resnet"), tmp_path / "net")
    config = tmp_path / "net" / "config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps(facts | {fact: DAMAGED[fact]}))
    with pytest.raises(ValueError, match=rf"{fact}|config\.json .* is damaged"):
        xaijax.models.load(facts["name"], tmp_path / "net")
    del facts[fact]
    config.write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"has no readable config\.json"):
        xaijax.models.load("scenes-resnet", tmp_path / "net")
    config.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"has no readable config\.json"):
        xaijax.models.load("scenes-resnet", tmp_path / "net")


def test_a_folder_of_another_network(tmp_path):
    saved = load_small(published_file(tmp_path, SMALL, "timm"))
    xaijax.models.save(saved, tmp_path / "saved")
    with pytest.raises(ValueError, match=f"holds a {SMALL}, not a resnet18"):
        xaijax.models.load("resnet18", tmp_path / "saved")
    with pytest.raises(ValueError, match="holds num_classes 10, not 9"):
        xaijax.models.load(SMALL, tmp_path / "saved", num_classes=9)


def test_labels_and_means_are_checked(tmp_path):
    path = published_file(tmp_path, SMALL, "timm", num_classes=1000)
    assert xaijax.models.load(SMALL, path).label(281) == "tabby"
    with pytest.raises(ValueError, match="2 labels were given for 1000 classes"):
        xaijax.models.load(SMALL, path, labels=["a", "b"])
    with pytest.raises(ValueError, match="does not fit images of 3 channels"):
        xaijax.models.load(SMALL, path, mean=(0.5, 0.4))
    file = tmp_path / "labels.json"
    file.write_text("{" + ", ".join(f'"{i}": "name {i}"' for i in range(1000)) + "}")
    assert xaijax.models.load(SMALL, path, labels=file).label(999) == "name 999"


def test_other_channels_need_a_mean(tmp_path):
    path = published_file(tmp_path, SMALL, "timm", channels=1)
    with pytest.raises(ValueError, match="does not fit images of 1 channels; name 1 with mean="):
        load_small(path, channels=1)
    assert load_small(path, channels=1, mean=(0.5,), std=(0.2,)).channels == 1


def test_every_row_tells_its_files_from_the_others():
    assert own_name("tf_mobilenetv3_small_100.in1k") == "mobilenet_v3_small"
    assert own_name("mobilenetv2_110d") == "mobilenet_v2_110d"
    assert own_name("resnet50.a1_in1k") == "resnet50"
    for name, row in ARCHITECTURES.items():
        assert own_name(name) == name
        for layout in row.layouts():
            assert is_whole(layout, tuple(layout.table))
            targets = [target for target in layout.table.values() if target]
            assert len(set(targets)) == len(targets)


def test_a_file_converted_from_tensorflow_brings_its_padding_its_epsilon_and_its_preprocessing(tmp_path):
    name = "efficientnet_lite0"
    timm, converted = (layout_of(name, source).table for source in ("timm", "converted"))
    arrays = published_arrays(name, "timm")
    key_of = {target: key for key, target in converted.items() if target is not None}
    renamed = {key_of[timm[key]]: array for key, array in arrays.items() if timm[key] is not None}
    for file, content in (("timm", arrays), ("converted", renamed)):
        save_file({key: np.ascontiguousarray(a) for key, a in content.items()}, str(tmp_path / f"{file}.safetensors"))
    own = {"labels": [str(number) for number in range(10)], "num_classes": 10}
    found = xaijax.models.load(name, tmp_path / "converted.safetensors", **own)
    facts = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    expected = xaijax.models.load(name, tmp_path / "timm.safetensors", padding="same", **facts, **own)
    images = random_images((64, 64))
    np.testing.assert_array_equal(found(images), expected(images))
    assert (found.mean, found.std, found.interpolation) == (*facts.values(), "bicubic")
    assert expected.interpolation == "bilinear"
