"""The zoo: what can be loaded, by name."""

import dataclasses
import difflib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


from flax import nnx


from xaijax.classifier import Classifier, NNXApply
from xaijax.models.densenet import DenseNet, DenseNetConfig
from xaijax.models.layers import Padding, fold_batch_norms
from xaijax.models.mobilenet import MobileNetV2, MobileNetV2Config, torchvision_table
from xaijax.models.resnet import ResNet, ResNetConfig
from xaijax.models.weights import Table, fill_module, from_torch_layout, read_file, rename_by, save_arrays

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EMBEDDED = Path(__file__).parents[1] / "scenes" / "weights"


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A row of the zoo.

    Attributes:
        build: `build(num_classes=, channels=, padding=, rngs=)` makes the module.
        torchvision: the table of torchvision's names, or None where torchvision has no such network.
        num_classes: of the published weights.
        input_size: height and width, pixels.
        resize: see `Classifier.resize`.
        mean: of the published weights.
        std: of the published weights.
    """

    build: Callable[..., nnx.Module]
    torchvision: Table | None = None
    num_classes: int = 1000
    input_size: tuple[int, int] = (224, 224)
    resize: int | None = 256
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def _mobilenet_v2(config: MobileNetV2Config) -> Architecture:
    return Architecture(functools.partial(MobileNetV2, config), torchvision_table(config))


_SCENES_MOBILENET = MobileNetV2Config(
    stages=((1, 16, 1, 2), (4, 32, 2, 1), (4, 64, 3, 2), (4, 96, 2, 2)), stem=24, last=256
)
_SCENES = {"num_classes": 10, "input_size": (64, 64), "resize": None, "mean": (0.5,) * 3, "std": (0.25,) * 3}

ARCHITECTURES: dict[str, Architecture] = {
    "mobilenet_v2": _mobilenet_v2(MobileNetV2Config()),
    "scenes-resnet": Architecture(
        functools.partial(ResNet, ResNetConfig((1, 1, 1), (32, 64, 128), stem_kernel=5, stem_pool=True)),
        **_SCENES,  # type: ignore[arg-type]
    ),
    "scenes-densenet": Architecture(
        functools.partial(DenseNet, DenseNetConfig((2, 4, 6), growth=24, stem=32, stem_kernel=5)),
        **_SCENES,  # type: ignore[arg-type]
    ),
    "scenes-mobilenet": Architecture(
        functools.partial(MobileNetV2, _SCENES_MOBILENET),
        **_SCENES,  # type: ignore[arg-type]
    ),
}


def names() -> tuple[str, ...]:
    """Returns the names that `load` knows."""
    return tuple(ARCHITECTURES)


def is_embedded(name: str) -> bool:
    """Returns whether the weights of network `name` come with the package."""
    return (EMBEDDED / name).is_dir()


def architecture(name: str) -> Architecture:
    """Returns the row of the zoo; raises ValueError, with the nearest names, where there is none."""
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=3) or ARCHITECTURES
        raise ValueError(f"model {name!r} is unknown; did you mean {', '.join(near)}? `xaijax models` lists all.")
    return ARCHITECTURES[name]


def load(
    name: str,
    weights: str | Path | None = None,
    *,
    num_classes: int | None = None,
    channels: int = 3,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    padding: Padding = "symmetric",
    labels: tuple[str, ...] = (),
) -> Classifier:
    """Loads a classifier.

    Args:
        name: one of `names()`.
        weights: a safetensors file with torchvision's names, or a folder that `save` wrote; None for an embedded one.
        num_classes: None takes what the published weights have.
        channels: of an image.
        mean: per channel, of [0, 1] pixels; None takes what the published weights use.
        std: per channel, of [0, 1] pixels; None takes what the published weights use.
        padding: "symmetric" as in PyTorch, or "same" as in TensorFlow.
        labels: a name a class.

    Returns:
        A `Classifier` with its batch norms folded into the convolutions.

    Raises:
        ValueError: the name is unknown, or the weights do not fit it; all that does not fit is listed.
    """
    row = architecture(name)
    if weights is None and not is_embedded(name):
        raise ValueError(f"model {name!r} comes without weights; name a file with weights=...")
    folder = EMBEDDED / name if weights is None else Path(weights)
    if folder.is_dir():
        return _load_folder(folder, name)
    options = {"num_classes": num_classes or row.num_classes, "channels": channels, "padding": padding}
    module = nnx.eval_shape(lambda: row.build(**options, rngs=nnx.Rngs(0)))
    if row.torchvision is None:
        raise ValueError(f"model {name!r} is not in torchvision; load it from a folder that xaijax.models.save wrote.")
    arrays = {key: from_torch_layout(array) for key, array in read_file(folder).items()}
    fill_module(module, arrays, rename_by(row.torchvision), source=folder.name)
    fold_batch_norms(module)
    return Classifier.from_nnx(
        module,
        name=name,
        num_classes=options["num_classes"],
        channels=channels,
        input_size=row.input_size,
        resize=row.resize,
        mean=row.mean if mean is None else tuple(mean),
        std=row.std if std is None else tuple(std),
        labels=tuple(labels),
    )


_FACTS = (
    "name",
    "num_classes",
    "channels",
    "input_size",
    "resize",
    "interpolation",
    "mean",
    "std",
    "activation",
    "labels",
)


def save(classifier: Classifier, folder: str | Path) -> None:
    """Writes a classifier of the zoo to a folder that `load` reads: `config.json` and `model.safetensors` (float16)."""
    folder = Path(folder)
    if not isinstance(classifier.apply, NNXApply) or classifier.name not in ARCHITECTURES:
        raise ValueError("only a classifier that models.load made can be saved; save your own module with its library.")
    module: Any = nnx.merge(classifier.apply.graph, classifier.params)
    save_arrays(module, folder / "model.safetensors")
    facts = {fact: getattr(classifier, fact) for fact in _FACTS} | {"padding": module.padding}
    (folder / "config.json").write_text(json.dumps(facts, indent=2) + "\n")


def _load_folder(folder: Path, name: str) -> Classifier:
    try:
        facts = json.loads((folder / "config.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"folder {folder.name!r} has no readable config.json; is it one that save wrote?") from error
    if facts["name"] != name:
        raise ValueError(f"folder {folder.name!r} holds a {facts['name']}, not a {name}; load it by that name.")
    options = {"num_classes": facts["num_classes"], "channels": facts["channels"], "padding": facts.pop("padding")}

    def build() -> nnx.Module:
        module = architecture(name).build(**options, rngs=nnx.Rngs(0))
        fold_batch_norms(module)
        return module

    module = nnx.eval_shape(build)
    arrays = read_file(folder / "model.safetensors")
    fill_module(module, arrays, lambda key: key, source=folder.name)
    facts = {fact: tuple(value) if isinstance(value, list) else value for fact, value in facts.items()}
    return Classifier.from_nnx(module, **facts)
