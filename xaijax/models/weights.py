"""Weights between files and modules: every key of the file and every array of the module is accounted for."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

Rename = Callable[[str], str | None]
"""Names the array of the module that a key of the file fills, or None for a key to leave out."""

Table = tuple[tuple[str, str | None], ...]
"""Regular expressions of a file's keys and what each becomes, the first that matches counting; None leaves it out."""


def read_file(path: Path | str) -> dict[str, np.ndarray]:
    """Reads a safetensors file.

    Raises:
        ValueError: it is not there, or it is not a whole safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"weights {str(path)!r} is not a file; check the path.")
    if path.suffix in {".pth", ".pt", ".bin", ".ckpt"}:
        raise ValueError(
            f"weights {path.name!r} is a pickle, which can run code when it is opened; convert it once with PyTorch: "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors')."
        )
    try:
        return dict(load_file(str(path)))
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"weights {path.name!r} is not a whole safetensors file ({error}); fetch or convert it again."
        ) from error


def flat_state(module: nnx.Module) -> dict[str, nnx.Variable]:
    """Returns the module's variables by dotted path, such as `stages.0.1.conv2.kernel`."""
    return {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(nnx.state(module))}


def save_arrays(module: nnx.Module, path: Path) -> None:
    """Writes the module's arrays as safetensors: float16 with two or more dimensions, else float32."""
    arrays = {name: variable[...] for name, variable in flat_state(module).items()}
    arrays = {name: np.ascontiguousarray(a, np.float16 if a.ndim > 1 else np.float32) for name, a in arrays.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, str(path))


def rename_by(table: Table) -> Rename:
    """Makes a table of patterns a function; an unmatched key keeps its name, and so is reported as a surplus."""
    patterns = [(re.compile(pattern), replacement) for pattern, replacement in table]

    def rename(key: str) -> str | None:
        for pattern, replacement in patterns:
            match = pattern.fullmatch(key)
            if match:
                return None if replacement is None else match.expand(replacement)
        return key

    return rename


def conv_norm_rows(conv: str, norm: str, target: str) -> Table:
    """Returns the rows of a convolution `conv` and its batch norm `norm` that together fill a `ConvNorm` `target`."""
    return (
        (rf"{conv}\.weight", f"{target}.kernel"),
        (rf"{norm}\.weight", f"{target}.norm.scale"),
        (rf"{norm}\.bias", f"{target}.norm.bias"),
        (rf"{norm}\.running_mean", f"{target}.norm.mean"),
        (rf"{norm}\.running_var", f"{target}.norm.var"),
        (rf"{norm}\.num_batches_tracked", None),
    )


def linear_rows(source: str, target: str) -> Table:
    """Returns the rows of a linear layer."""
    return (rf"{source}\.weight", f"{target}.kernel"), (rf"{source}\.bias", f"{target}.bias")


def from_torch_layout(array: np.ndarray) -> np.ndarray:
    """Turns PyTorch's `[out, in, h, w]` into `[h, w, in, out]`, and `[out, in]` into `[in, out]`."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


def fill_module(module: nnx.Module, arrays: Mapping[str, np.ndarray], rename: Rename, *, source: str) -> None:
    """Puts a file's arrays, already in this library's layout, into the module, in place, as NumPy float32.

    Args:
        module: may be abstract, as `nnx.eval_shape` makes it.
        arrays: by the file's keys.
        rename: see `Rename`.
        source: for the message.

    Raises:
        ValueError: keys are missing or surplus, or shapes differ; all are listed together.
    """
    targets = flat_state(module)
    found: dict[str, str] = {}
    problems = []
    for key in sorted(arrays):
        name = rename(key)
        if name is None:
            continue
        if name not in targets:
            problems.append(f"surplus: {key} {list(arrays[key].shape)}")
        elif name in found:
            problems.append(f"twice: {key} and {found[name]} both fill {name}")
        elif arrays[key].shape != targets[name].shape:
            problems.append(f"shape: {key} is {list(arrays[key].shape)}, needed {list(targets[name].shape)}")
            found[name] = key
        else:
            found[name] = key
    problems += [f"missing: {name} {list(targets[name].shape)}" for name in targets if name not in found]
    if problems:
        listed = "\n  ".join(problems[:20] + ([f"and {len(problems) - 20} more"] if len(problems) > 20 else []))
        raise ValueError(
            f"{source} does not fit the model in {len(problems)} places; load it as the model, number of classes and "
            f"channels it was made for:\n  {listed}"
        )
    for name, key in found.items():
        targets[name].set_value(np.asarray(arrays[key], np.float32))
    nnx.update(module, nnx.from_flat_state([(_path(name), variable) for name, variable in targets.items()]))


def _path(name: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in name.split("."))
