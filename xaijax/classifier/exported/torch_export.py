"""From a PyTorch module to a `Program`: exported, folded, and compared with the module.

PyTorch is needed here, and nowhere else.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.classifier.exported.operators import OPERATORS, Tensor, promoting
from xaijax.classifier.exported.program import Call, Parameter, Program, ProgramApply, Step

TOLERANCE = 1e-4
"""Difference of the logits from PyTorch's, as a share of the largest, up to which an export is taken."""

BATCH_NORM = "_native_batch_norm_legit_no_training"

DROPPED = frozenset({"device", "layout", "pin_memory", "memory_format", "non_blocking", "implicit"})
"""Keywords that say where and how PyTorch stores an array."""

REMEDY = "Classifier.from_black_box asks the module from the host instead"


def export_module(module: Any, shape: tuple[int, int, int]) -> tuple[Program, dict[str, np.ndarray]]:
    """Exports a module.

    Args:
        module: of PyTorch, in any mode; it is exported in evaluation, and left as it was.
        shape: channels, height and width of an image.

    Returns:
        Its steps on one image, and its parameters by name, float32 or integers.

    Raises:
        ValueError: PyTorch cannot export it, it takes a step that is not known here, or the logits differ from its own.
    """
    import torch

    example = torch.from_numpy(np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32))
    with _evaluating(module), torch.no_grad():
        try:
            exported = torch.export.export(module, (example,)).run_decompositions()
        except Exception as error:  # what a module does may be anything
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ValueError(f"torch.export cannot export the module ({reason}); {REMEDY}.") from error
        expected = module(example)
    if not isinstance(expected, torch.Tensor) or expected.ndim != 2:
        raise ValueError("the module must return logits [N, K]; wrap it in one that does.")
    builder = _Builder(exported)
    program, params = builder.build()
    _compare(program, params, example.numpy(), expected.numpy())
    return program, params


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Puts a module and its parts into evaluation, and back at the end."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _compare(program: Program, params: dict[str, np.ndarray], example: np.ndarray, expected: np.ndarray) -> None:
    """Raises ValueError where the logits of an image differ from PyTorch's."""
    channels = example.shape[1]
    apply = ProgramApply((0.0,) * channels, (1.0,) * channels, "float32", program)
    try:
        with jax.default_matmul_precision("highest"):
            logits, _ = jax.jit(apply)(params, jnp.asarray(example.transpose(0, 2, 3, 1)))
    except (ValueError, TypeError, NotImplementedError, IndexError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"the module takes a step that is not known here ({reason}); {REMEDY}.") from error
    found = np.asarray(logits)
    difference = np.inf
    if found.shape == expected.shape:
        difference = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12)
    if not difference <= TOLERANCE:
        raise ValueError(
            f"the exported module's logits differ from PyTorch's by {difference:.1e} of the largest; {REMEDY}."
        )


@dataclasses.dataclass(frozen=True)
class _Known:
    """What does not depend on the image."""

    value: Any


class _Builder:
    """Builds a program from an exported graph, and computes once what does not depend on the image."""

    def __init__(self, exported: Any) -> None:
        self._exported = exported
        self._values: dict[str, Any] = {}  # of the graph's nodes: `_Known`, `Step`, or a tuple of these
        self._calls: list[Call] = []
        self._params: dict[str, np.ndarray] = {}
        self._users: dict[str, int] = {}
        self._parts: dict[str, int] = {}  # the step that returns what a part of the module does, by its name

    def build(self) -> tuple[Program, dict[str, np.ndarray]]:
        """Returns the program and its parameters."""
        nodes = list(self._exported.graph.nodes)
        self._users = {node.name: len(node.users) for node in nodes}
        output = 0
        for node in nodes:
            if node.op == "placeholder":
                self._values[node.name] = self._placeholder(node)
            elif node.op == "call_function":
                self._values[node.name] = self._call(node)
                result = self._values[node.name]
                if isinstance(result, Step) and _is_images(node):
                    for path, _ in (node.meta.get("nn_module_stack") or {}).values():
                        self._parts[path] = result.number
            else:
                (result,) = node.args[0]
                output = self._as_argument(self._values[result.name]).number
        taps = tuple((path, step) for path, step in self._parts.items() if path)
        return Program(tuple(self._calls), output, taps), self._params

    def _placeholder(self, node: Any) -> Any:
        signature = self._exported.graph_signature
        named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        constants = dict(signature.inputs_to_lifted_tensor_constants)
        if node.name in named:
            name = named[node.name]
            held = self._exported.state_dict.get(name, self._exported.constants.get(name))
            return _Known(Tensor(_array(held)))
        if node.name in constants:
            return _Known(Tensor(_array(self._exported.constants[constants[node.name]])))
        return Step(0)

    def _call(self, node: Any) -> Any:
        name = _operator_name(node.target)
        arguments = tuple(self._convert(argument) for argument in node.args)
        keywords = {key: self._convert(value) for key, value in node.kwargs.items() if key not in DROPPED}
        if "dtype" in keywords:
            keywords["to"] = keywords.pop("dtype")
        keywords = {key: value for key, value in keywords.items() if value is not None}
        if name == "getitem" and isinstance(arguments[0], tuple):
            return arguments[0][arguments[1]]
        if name == BATCH_NORM:
            return (self._batch_norm(node, arguments),)
        if name not in OPERATORS:
            raise ValueError(f"the module uses {node.target}, which is not known here; {REMEDY}.")
        if name == "convolution" and len(arguments[3]) == 2:
            arguments = (arguments[0], self._kernel(arguments[1]), *arguments[2:])
        if not _depends(arguments) and not _depends(tuple(keywords.values())):
            return self._computed(name, arguments, keywords)
        return self._append(name, arguments, keywords)

    def _computed(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Returns the result of an operator on what is known."""
        given = tuple(map(_value, arguments))
        named = {key: _value(value) for key, value in keywords.items()}
        with promoting(), jax.default_matmul_precision("highest"):
            result = OPERATORS[name](*given, dtype=jnp.dtype("float32"), **named)
        return tuple(map(_Known, result)) if isinstance(result, tuple) else _Known(result)

    def _kernel(self, kernel: Any) -> Any:
        """Returns a kernel as `[h, w, in / groups, out]`."""
        if isinstance(kernel, _Known):
            return _Known(Tensor(jnp.asarray(np.asarray(kernel.value.plain).transpose(2, 3, 1, 0))))
        return self._append("permute", (kernel, (2, 3, 1, 0)), {})

    def _batch_norm(self, node: Any, arguments: tuple[Any, ...]) -> Any:
        """Folds a batch norm into the convolution before it, or else into one scale and one shift."""
        x, weight, bias, mean, variance, _, epsilon = arguments
        mean, variance = (np.asarray(each.value.plain, np.float32) for each in (mean, variance))
        scale = 1 / np.sqrt(variance + np.float32(epsilon))
        scale = scale if weight is None else scale * np.asarray(weight.value.plain, np.float32)
        shift = -mean * scale if bias is None else np.asarray(bias.value.plain, np.float32) - mean * scale
        if isinstance(x, _Known):
            return self._computed("scale_and_shift", (x, _known(scale), _known(shift)), {})
        before = self._calls[x.number - 1] if x.number > 0 else None
        source = node.args[0].name
        is_alone = before is not None and self._users[source] == 1 and x.number == len(self._calls)
        if before is None or before.operator != "convolution" or not is_alone or len(before.arguments[3]) != 2:
            return self._append("scale_and_shift", (x, _known(scale), _known(shift)), {})
        kernel, own = before.arguments[1:3]
        if not isinstance(kernel, Parameter):
            return self._append("scale_and_shift", (x, _known(scale), _known(shift)), {})
        # Parts that end with the convolution alone return nothing any more.
        self._parts = {path: step for path, step in self._parts.items() if step != x.number}
        self._params[kernel.name] = self._params[kernel.name] * scale[None, None, None]
        if own is not None:
            shift = self._params[own.name] * scale + shift
        added = self._parameter(shift)
        self._calls[-1] = dataclasses.replace(before, arguments=(*before.arguments[:2], added, *before.arguments[3:]))
        return Step(x.number)

    def _append(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Step:
        given = tuple(map(self._as_argument, arguments))
        self._calls.append(Call(name, given, tuple((key, self._as_argument(value)) for key, value in keywords.items())))
        return Step(len(self._calls))

    def _as_argument(self, value: Any) -> Any:
        """Turns what is known into a parameter, and lists into tuples."""
        if isinstance(value, _Known):
            return self._parameter(np.asarray(value.value.plain))
        return tuple(map(self._as_argument, value)) if isinstance(value, tuple) else value

    def _parameter(self, array: np.ndarray) -> Parameter:
        name = f"p{len(self._params):04d}"
        self._params[name] = array
        return Parameter(name)

    def _convert(self, argument: Any) -> Any:
        """Turns an argument of a node into one of a step."""
        if hasattr(argument, "op") and hasattr(argument, "name"):
            return self._values[argument.name]
        if isinstance(argument, list | tuple):
            return tuple(map(self._convert, argument))
        kind = type(argument).__module__.partition(".")[0]
        return str(argument).removeprefix("torch.") if kind == "torch" else argument


def _operator_name(target: Any) -> str:
    """Returns the name of an operator without its overload."""
    name = str((getattr(target, "_schema", None) and target._schema.name) or getattr(target, "__name__", target))
    return name.rpartition("::")[2]


def _depends(argument: Any) -> bool:
    """Whether an argument depends on the image."""
    return any(map(_depends, argument)) if isinstance(argument, tuple) else isinstance(argument, Step)


def _value(argument: Any) -> Any:
    if isinstance(argument, _Known):
        return argument.value
    return tuple(map(_value, argument)) if isinstance(argument, tuple) else argument


def _known(array: np.ndarray) -> _Known:
    return _Known(Tensor(jnp.asarray(array)))


def _is_images(node: Any) -> bool:
    shape: Any = getattr(node.meta.get("val"), "shape", ())
    return len(shape) == 4 and shape[0] == 1


def _array(tensor: Any) -> jax.Array:
    """Returns a tensor of PyTorch as float32, or as integers of at most 32 bits."""
    array = tensor.detach().cpu()
    if array.is_floating_point():
        return jnp.asarray(array.float().numpy())
    numbers = array.numpy()
    return jnp.asarray(numbers.astype(np.int32) if numbers.dtype == np.int64 else numbers)
