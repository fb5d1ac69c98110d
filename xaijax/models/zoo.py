"""The zoo: loading a classifier by name, and saving it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from flax import nnx

from xaijax.classifier import Classifier, Dtype, NNXApply
from xaijax.convolution import Padding
from xaijax.models.architectures import ARCHITECTURES, Architecture, architecture, own_name
from xaijax.models.catalogue import EMBEDDED, is_embedded, names
from xaijax.models.class_names import imagenet_labels, read_labels
from xaijax.models.hub import Published, fetch
from xaijax.models.layers import ShapesOnly, fold_batch_norms
from xaijax.models.weights import (
    WeightLayout,
    fill_module,
    from_torch_layout,
    is_whole,
    read_file,
    recognise,
    save_arrays,
)

__all__ = ["ARCHITECTURES", "EMBEDDED", "Architecture", "architecture", "is_embedded", "load", "names", "save"]


def load(
    name: str,
    weights: str | Path | None = None,
    *,
    num_classes: int | None = None,
    channels: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    padding: Padding | None = None,
    dtype: Dtype = "float32",
    labels: Sequence[str] | str | Path | None = None,
) -> Classifier:
    """Loads a classifier. Nothing is compiled for it, and no file is executed.

    Args:
        name: one of `names()`, or timm's name of the same network.
        weights: a safetensors file or a checkpoint of PyTorch, with torchvision's or timm's names,
            `hf:owner/repo[@revision]`, or a folder that `save` wrote; None for an embedded network.
        num_classes: None takes the number stated by the weights' source, else that of the published weights.
        channels: of an image; None takes the number stated by the weights' source, else 3.
        mean: per channel, of [0, 1] pixels; None takes the one stated by the weights' source, else the network's usual.
        std: per channel, of [0, 1] pixels; None as for `mean`.
        padding: "symmetric" as in PyTorch, or "same" as in TensorFlow; None takes "same" where `name` or the weights'
            source begins with timm's `tf_`, else "symmetric".
        dtype: of parameters and computation; logits are float32 in either case.
        labels: one name per class, or a file of them; None takes ImageNet's where they fit.

    Returns:
        A `Classifier` with its batch norms folded into the convolutions.

    Raises:
        ValueError: the name is unknown, or the weights cannot be read or do not fit; every mismatch is listed.
    """
    row, name, timm_name = architecture(name), own_name(name), name
    if weights is None and not is_embedded(name):
        raise ValueError(
            f"model {name!r} comes without weights; name them with weights=..., on the command line --weights FILE: a "
            "safetensors file, hf:owner/repo, or a folder that xaijax.models.save wrote."
        )
    source = EMBEDDED / name if weights is None else weights
    if not str(source).startswith("hf:") and Path(source).is_dir():
        folder = Path(source)
        requested = {"num_classes": num_classes, "channels": channels, "padding": padding}
        return _load_folder(folder, name, requested, mean=mean, std=std, dtype=dtype, labels=labels)
    if str(source).startswith("hf:"):
        published = fetch(str(source).removeprefix("hf:"))
        if published.architecture and own_name(published.architecture) != name:
            raise ValueError(f"{source} holds a {published.architecture}, not a {name}; load it by that name.")
        timm_name = published.architecture or timm_name
    else:
        published = Published(Path(source))
    layout, arrays = _read_published(row, name, published.path)
    facts: dict[str, Any] = {
        "name": name,
        "num_classes": row.num_classes if published.num_classes is None else published.num_classes,
        "input_size": row.input_size,
        "resize": row.resize,
        "mean": (0.5,) * 3 if timm_name.startswith("tf_") else row.mean,
        "std": (0.5,) * 3 if timm_name.startswith("tf_") else row.std,
        **layout.facts,
    } | published.facts
    given = {"num_classes": num_classes, "channels": channels, "mean": mean, "std": std}
    facts |= {fact: value for fact, value in given.items() if value is not None}
    facts.setdefault("channels", 3)
    facts |= {fact: _for_channels(tuple(facts[fact]), facts["channels"], fact) for fact in ("mean", "std")}
    if labels is not None:
        facts["labels"] = read_labels(labels, facts["num_classes"])
    elif row.num_classes == facts["num_classes"] == 1000:
        facts.setdefault("labels", imagenet_labels())
    padding = padding or layout.padding or ("same" if timm_name.startswith("tf_") else "symmetric")
    source_name = f"{published.path.name} (read as {layout.source} names it)"
    module = _from_published(row, arrays, layout, source_name, padding, facts)
    return Classifier.from_nnx(module, dtype=dtype, **facts)


def _for_channels(values: tuple[float, ...], channels: int, fact: str) -> tuple[float, ...]:
    """Returns a published `mean` or `std` for another number of channels, if it is the same in all channels."""
    if len(values) == channels:
        return values
    if len(set(values)) == 1:
        return (values[0],) * channels
    raise ValueError(f"{fact} {values} does not fit images of {channels} channels; name {channels} with {fact}=...")


def _read_published(row: Architecture, name: str, path: Path) -> tuple[WeightLayout, dict[str, np.ndarray]]:
    """Returns the arrays of a file by its keys, and the layout that has most of these."""
    layouts = row.layouts()
    if not layouts:
        raise ValueError(
            f"model {name!r} was not published elsewhere; load it from a folder that xaijax.models.save wrote."
        )
    arrays = {key.removeprefix("module."): from_torch_layout(array) for key, array in read_file(path).items()}
    return recognise(layouts, tuple(arrays)), arrays


def _from_published(
    row: Architecture,
    arrays: dict[str, np.ndarray],
    layout: WeightLayout,
    source: str,
    padding: Padding,
    facts: dict[str, Any],
) -> nnx.Module:
    options = {"num_classes": facts["num_classes"], "channels": facts["channels"], "padding": padding}
    module = nnx.eval_shape(lambda: row.build(**options, rngs=ShapesOnly()))
    hint = "" if is_whole(layout, tuple(arrays)) else _matching_networks(tuple(arrays), facts["name"])
    fill_module(module, arrays, layout.table, source=source, hint=hint)
    has_same_epsilon = padding == "same" and layout.same_epsilon is not None
    fold_batch_norms(module, epsilon=layout.same_epsilon if has_same_epsilon else layout.epsilon)
    return module


def _matching_networks(keys: tuple[str, ...], name: str) -> str:
    """Returns a hint that names the other networks with exactly these keys, or nothing."""
    others = [
        other
        for other, row in ARCHITECTURES.items()
        if other != name and any(is_whole(layout, keys) for layout in row.layouts())
    ]
    return f" (its keys are those of {' or '.join(others)})" if others else ""


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


def save(classifier: Classifier, folder: str | Path, *, dtype: Literal["float16", "float32"] = "float16") -> None:
    """Writes a classifier of the zoo to a folder that `load` reads: `config.json` and `model.safetensors`.

    Args:
        classifier: one that `load` made.
        folder: created if it does not exist.
        dtype: of the kernels; float32 is lossless.

    Raises:
        ValueError: the classifier is not of the zoo, or a number is too large for float16.
    """
    folder = Path(folder)
    if not isinstance(classifier.apply, NNXApply) or classifier.name not in ARCHITECTURES:
        raise ValueError("only a classifier that models.load made can be saved; save your own module with its library.")
    module: Any = nnx.merge(classifier.apply.graph, classifier.params)
    save_arrays(module, folder / "model.safetensors", dtype=dtype)
    facts = {fact: getattr(classifier, fact) for fact in _FACTS} | {"padding": module.padding}
    (folder / "config.json").write_text(json.dumps(facts, indent=2) + "\n")


def _load_folder(
    folder: Path,
    name: str,
    requested: dict[str, Any],
    *,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    dtype: Dtype,
    labels: Sequence[str] | str | Path | None,
) -> Classifier:
    try:
        facts = json.loads((folder / "config.json").read_text())
        saved = facts["name"]
        options = {fact: facts[fact] for fact in requested}
        own = {fact: facts[fact] for fact in _FACTS}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"folder {folder.name!r} has no readable config.json; is it one that save wrote?") from error
    if options["padding"] not in get_args(Padding):
        raise ValueError(
            f"config.json of folder {folder.name!r} is damaged (padding {options['padding']!r}); save the model again."
        )
    if saved != name:
        raise ValueError(f"folder {folder.name!r} holds a {saved}, not a {name}; load it by that name.")
    wrong = [
        f"{fact} {options[fact]}, not {value}"
        for fact, value in requested.items()
        if value not in (None, options[fact])
    ]
    if wrong:
        raise ValueError(f"folder {folder.name!r} holds {', '.join(wrong)}; leave those out, the folder knows them.")

    def build() -> nnx.Module:
        module = architecture(name).build(**options, rngs=ShapesOnly())
        fold_batch_norms(module)
        return module

    try:
        module = nnx.eval_shape(build)
    except Exception as error:  # what a network is built of may be anything
        raise ValueError(
            f"config.json of folder {folder.name!r} is damaged ({error}); save the model again."
        ) from error
    fill_module(module, read_file(folder / "model.safetensors"), {}, source=folder.name)
    own |= {fact: tuple(value) for fact, value in (("mean", mean), ("std", std)) if value is not None}
    if labels is not None:
        own["labels"] = read_labels(labels, own["num_classes"])
    try:
        return Classifier.from_nnx(module, dtype=dtype, **own)
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"config.json of folder {folder.name!r} is damaged ({error}); save the model again."
        ) from error
