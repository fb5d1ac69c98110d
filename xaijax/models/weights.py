"""Weights from files to modules and back, with every key of a file and every array of a module accounted for."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from xaijax.convolution import Padding
from xaijax.models.pickled import SUFFIXES, read_checkpoint

Table = dict[str, str | None]
"""Maps each key of a file to the array of the module that it fills, such as `stages.0.1.conv2.kernel`, or to None."""


@dataclasses.dataclass(frozen=True)
class WeightLayout:
    """The names of a network's arrays in the files of one source, and other conventions of that source.

    Attributes:
        source: its name, for messages.
        table: see `Table`.
        epsilon: of its batch norms.
        same_epsilon: of its batch norms in networks with TensorFlow's padding; None if it is `epsilon`.
        padding: of its networks; None if the file does not tell.
        facts: those fields of `Classifier` in which its networks differ from the architecture's usual.
    """

    source: str
    table: Table
    epsilon: float = 1e-5
    same_epsilon: float | None = None
    padding: Padding | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def read_file(path: Path | str) -> dict[str, np.ndarray]:
    """Reads a safetensors file, or a checkpoint of PyTorch, of which nothing is run.

    Raises:
        ValueError: it does not exist, or it is neither.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"weights {str(path)!r} is not a file; check the path.")
    if path.suffix in SUFFIXES:
        return read_checkpoint(path)
    try:
        return dict(load_file(str(path)))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"weights {path.name!r} is not a whole safetensors file ({error}); fetch or convert it again."
        ) from error


def flat_state(module: nnx.Module) -> dict[str, nnx.Variable]:
    """Returns the module's variables by dotted path, such as `stages.0.1.conv2.kernel`."""
    return {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(nnx.state(module))}


def save_arrays(module: nnx.Module, path: Path, *, dtype: str = "float16") -> None:
    """Writes the module's arrays as safetensors: of `dtype` with two or more dimensions, else float32."""
    arrays = {name: np.asarray(variable[...]) for name, variable in flat_state(module).items()}
    arrays = {name: np.ascontiguousarray(a, dtype if a.ndim > 1 else np.float32) for name, a in arrays.items()}
    wrong = [name for name, a in arrays.items() if not np.isfinite(a).all()]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: not finite in {dtype}; save with dtype='float32'.")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, str(path))


def norm_rows(source: str, target: str) -> Table:
    """Returns the rows of a batch norm."""
    return {
        f"{source}.weight": f"{target}.scale",
        f"{source}.bias": f"{target}.bias",
        f"{source}.running_mean": f"{target}.mean",
        f"{source}.running_var": f"{target}.var",
        f"{source}.num_batches_tracked": None,
    }


def conv_norm_rows(conv: str, norm: str, target: str) -> Table:
    """Returns the rows of a convolution `conv` and its batch norm `norm`, which together fill a `ConvNorm` `target`."""
    return {f"{conv}.weight": f"{target}.kernel"} | norm_rows(norm, f"{target}.norm")


def linear_rows(source: str, target: str) -> Table:
    """Returns the rows of a linear layer."""
    return {f"{source}.weight": f"{target}.kernel", f"{source}.bias": f"{target}.bias"}


def from_torch_layout(array: np.ndarray) -> np.ndarray:
    """Transposes PyTorch's `[out, in, h, w]` to `[h, w, in, out]`, and `[out, in]` to `[in, out]`."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


def recognise(layouts: Sequence[WeightLayout], keys: Sequence[str]) -> WeightLayout:
    """Returns the layout whose table holds most of a file's keys, the first of equals."""
    return max(layouts, key=lambda layout: sum(key in layout.table for key in keys))


def is_whole(layout: WeightLayout, keys: Sequence[str]) -> bool:
    """Returns whether a file's keys are exactly those of a layout, none missing and none surplus."""
    needed = {key for key, target in layout.table.items() if target is not None}
    return needed <= set(keys) <= set(layout.table)


def fill_module(
    module: nnx.Module, arrays: Mapping[str, np.ndarray], table: Table, *, source: str, hint: str = ""
) -> None:
    """Fills a module in place with a file's arrays, already in this library's layout, as NumPy float32.

    Args:
        module: may be abstract, as `nnx.eval_shape` makes it.
        arrays: by the file's keys.
        table: see `Table`; a key that is not in it is taken as the name of an array of the module.
        source: name of the file, for the message.
        hint: text inserted into the message.

    Raises:
        ValueError: keys are missing or surplus, shapes differ, or numbers are not finite; all are listed together.
    """
    targets = flat_state(module)
    filled_by: dict[str, str] = {}
    problems = []
    for key in sorted(arrays):
        name, shape = table.get(key, key), arrays[key].shape
        if name is None:
            continue
        if name not in targets:
            problems.append(f"surplus: {key} {list(shape)}")
            continue
        wanted = tuple(targets[name].shape)
        if name in filled_by:
            problems.append(f"twice: {key} and {filled_by[name]} both fill {name}")
        elif shape not in (wanted, (1, 1, *wanted)):  # a 1x1 convolution of pooled features is a linear layer
            problems.append(f"shape: {key} is {list(shape)}, needed {list(wanted)}")
        elif not np.isfinite(arrays[key]).all():
            problems.append(f"not finite: {key}")
        filled_by[name] = key
    keys = {name: key for key, name in table.items() if name is not None}
    missing = [name for name in targets if name not in filled_by]
    problems += [f"missing: {keys.get(name, name)} {list(targets[name].shape)}" for name in missing]
    if problems:
        listed = "\n  ".join(problems[:20] + ([f"and {len(problems) - 20} more"] if len(problems) > 20 else []))
        raise ValueError(
            f"{source} does not fit the model in {len(problems)} places; load it as the model, number of classes and "
            f"channels it was made for{hint}:\n  {listed}"
        )
    for name, key in filled_by.items():
        targets[name].set_value(np.asarray(arrays[key], np.float32).reshape(targets[name].shape))
    nnx.update(module, nnx.from_flat_state([(_path(name), variable) for name, variable in targets.items()]))


def _path(name: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in name.split("."))
