"""Checkpoints of PyTorch, read without running them.

A pickle is a program: this knows the few steps that a table of tensors takes, and refuses all others by name. Both
layouts of `torch.save` are read: the zip archive of today, and the sequence of pickles and numbers of before. It
needs no PyTorch.
"""

import dataclasses
import io
import math
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

SUFFIXES = frozenset({".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar"})
"""Suffixes of such files; `.tar` stands for `.pth.tar`."""

MAGIC = 0x1950A86A20F9469CFC6C
"""The first number of the layout of before."""

TABLES = ("state_dict", "model", "state_dict_ema", "model_ema")
"""Keys under which a checkpoint of a training keeps the table of tensors, the preferred one first."""

DTYPES: dict[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
"""The types of numbers, by PyTorch's names of their storages."""

MOST_COPIES = 4
"""Times the size of the file that its tensors may take together, which share storages."""


@dataclasses.dataclass(frozen=True)
class _Named:
    """Something of a module that a pickle names: it stands for itself, and nothing is imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Numbers in a row."""

    key: str
    dtype: Any
    length: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class RefusedError(ValueError):
    """A pickle asks for something to be run or made."""


class _Mark:
    """Where the items of a tuple, list or table begin on the stack."""


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a checkpoint of PyTorch.

    Args:
        path: of a file that `torch.save` wrote: a table of tensors by name, or a table that holds such a one under one
            of the keys `TABLES`.

    Raises:
        ValueError: it cannot be read, holds something else, or asks for something else to be run.
    """
    try:
        with path.open("rb") as file:
            root, read = _open_zip(file) if zipfile.is_zipfile(file) else _open_legacy(file)
            return _arrays(_table(root), read, most=MOST_COPIES * path.stat().st_size)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError | OSError) else f"it is damaged: {error!r}"
        raise ValueError(
            f"weights {path.name!r} are no checkpoint of tensors ({reason}); save the state_dict alone, or as "
            "safetensors."
        ) from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError, MemoryError) as error:
        raise ValueError(f"weights {path.name!r} are a damaged archive ({error}); fetch them again.") from error


Read = Callable[[_Storage], np.ndarray]


def _open_zip(file: BinaryIO) -> tuple[Any, Read]:
    """Returns what the pickle of a zip archive describes, and how its storages are read."""
    archive = zipfile.ZipFile(file)
    (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"][:1] or [""]
    if not name:
        raise ValueError("an archive without data.pkl")
    base = name.removesuffix("data.pkl")
    if f"{base}byteorder" in archive.namelist() and archive.read(f"{base}byteorder") != b"little":
        raise ValueError("its numbers begin with their highest byte")

    def member(name: str) -> bytes:
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        return archive.read(name)

    def read(storage: _Storage) -> np.ndarray:
        return np.frombuffer(member(f"{base}data/{storage.key}"), storage.dtype, count=storage.length)

    return _run(io.BytesIO(member(name))), read


def _open_legacy(file: BinaryIO) -> tuple[Any, Read]:
    """Returns what the pickles of the layout of before describe, and how its storages are read."""
    file.seek(0)
    try:
        magic = _run(file)
    except RefusedError:
        raise
    except ValueError as error:
        raise ValueError("it is neither a zip archive nor a pickle of torch.save") from error
    if magic != MAGIC:
        raise ValueError("it is neither a zip archive nor a pickle of torch.save")
    if _run(file) != 1001:
        raise ValueError("a version of torch.save that is not known")
    system = _run(file)
    if not system.get("little_endian", True):
        raise ValueError("its numbers begin with their highest byte")
    storages: dict[str, _Storage] = {}
    root = _run(file, storages)
    places: dict[str, int] = {}
    for key in _run(file):
        storage = storages[key]
        (length,) = np.frombuffer(file.read(8), "<i8")
        if length != storage.length:
            raise ValueError(f"storage {key} has {length} numbers and not {storage.length}")
        places[key] = file.tell()
        file.seek(int(length) * np.dtype(storage.dtype).itemsize, io.SEEK_CUR)

    def read(storage: _Storage) -> np.ndarray:
        file.seek(places[storage.key])
        size = storage.length * np.dtype(storage.dtype).itemsize
        return np.frombuffer(file.read(size), storage.dtype, count=storage.length)

    return root, read


def _table(root: Any) -> dict[str, _Tensor]:
    """Returns the table of tensors that an unpickled value is or holds."""
    for candidate in (root, *(root[key] for key in TABLES if isinstance(root, dict) and key in root)):
        if isinstance(candidate, dict):
            tensors = {str(key): value for key, value in candidate.items() if isinstance(value, _Tensor)}
            if tensors and len(tensors) == len(candidate):
                return tensors
    held = f"a table of {', '.join(map(repr, list(root)[:5]))}" if isinstance(root, dict) else type(root).__name__
    raise ValueError(f"it holds {held} and no table of tensors")


def _arrays(tensors: Mapping[str, _Tensor], read: Read, *, most: int) -> dict[str, np.ndarray]:
    """Returns tensors as arrays of their own, `most` bytes at most."""
    size = sum(math.prod(tensor.shape) * np.dtype(tensor.storage.dtype).itemsize for tensor in tensors.values())
    if size > most:
        raise ValueError(f"its tensors take {size:,} bytes, of a file of {most // MOST_COPIES:,}")
    by_storage: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        by_storage.setdefault(tensor.storage.key, []).append(name)
    found: dict[str, np.ndarray] = {}
    for names in by_storage.values():
        numbers = read(tensors[names[0]].storage)
        for name in names:
            tensor = tensors[name]
            if tensor.storage != tensors[names[0]].storage:
                raise ValueError(f"{name} takes storage {tensor.storage.key} for another")
            strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
            view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
            found[name] = np.array(view)
    return {name: found[name] for name in tensors}


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    """What `torch._utils._rebuild_tensor_v2` does, its bounds checked."""
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise ValueError("a tensor without a storage, or without strides")
    if not all(isinstance(number, int) and 0 <= number < 1 << 48 for number in (offset, *shape, *strides)):
        raise ValueError("a tensor of shape, strides or place that none can have")
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if count > storage.length or (count and last >= storage.length):
        raise ValueError(f"a tensor of shape {list(shape)} in a storage of {storage.length} numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _ordered(items: Any = ()) -> dict[Any, Any]:
    return dict(items)


CALLS: dict[_Named, Callable[..., Any]] = {
    _Named("collections", "OrderedDict"): _ordered,
    _Named("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    _Named("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    _Named("torch._utils", "_rebuild_parameter"): lambda tensor, *rest: tensor,
    _Named("torch", "Size"): lambda items=(): tuple(items),
}
"""What a pickle may call; nothing of it is PyTorch's own."""


def _storage(identity: Any, storages: dict[str, _Storage]) -> _Storage:
    """Returns the storage that a persistent identity `("storage", type, key, place, length, ...)` describes."""
    word, kind, key, _, length, *rest = identity
    is_known = isinstance(kind, _Named) and kind.module.partition(".")[0] == "torch" and kind.name in DTYPES
    if word != "storage" or not is_known:
        raise ValueError(f"a storage of {kind}")
    if rest and rest[0] is not None:
        raise ValueError("a view of a storage, as PyTorch of before 0.4 wrote it")
    if not isinstance(length, int) or not 0 <= length < 1 << 48:
        raise ValueError(f"a storage of {length} numbers")
    found = _Storage(str(key), DTYPES[kind.name], length)
    return storages.setdefault(found.key, found)


def _run(stream: Any, storages: dict[str, _Storage] | None = None) -> Any:
    """Returns the value that a pickle describes.

    Args:
        stream: from which one pickle is read.
        storages: is filled with those that it names.

    Raises:
        ValueError: it takes a step that a table of tensors does not take.
    """
    machine = _Machine({} if storages is None else storages)
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STOP":
            return machine.pop()
        machine.step(opcode.name, argument)
    raise ValueError("a pickle without an end")


class _Machine:
    """The stack of a pickle, and the steps that it knows.

    References:
        The documentation of Python's `pickletools`, for what each step does.
    """

    def __init__(self, storages: dict[str, _Storage]) -> None:
        self._storages = storages
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def pop(self) -> Any:
        """Takes a value off the stack."""
        value = self._stack.pop()
        if isinstance(value, _Mark):
            raise ValueError("a mark where a value should be")
        return value

    def step(self, name: str, argument: Any) -> None:
        """Takes a step of a pickle."""
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _FRESH:
            self._stack.append(_FRESH[name]())
        elif name in _PUTS:
            self._memo[len(self._memo) if argument is None else int(argument)] = self._stack[-1]
        elif name in _GETS:
            self._stack.append(self._memo[int(argument)])
        elif name in _TUPLES:
            items = self._after_mark() if name == "TUPLE" else [self.pop() for _ in range(_TUPLES[name])][::-1]
            self._stack.append(tuple(items))
        elif name == "GLOBAL":
            self._stack.append(_Named(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            self._stack.append(_Named(str(module), str(attribute)))
        elif name == "BINPERSID":
            self._stack.append(_storage(self.pop(), self._storages))
        elif name == "REDUCE":
            arguments, function = self.pop(), self.pop()
            if function not in CALLS:
                raise RefusedError(f"it asks to run {function}, which is not done")
            self._stack.append(CALLS[function](*arguments))
        elif name in ("NEWOBJ", "NEWOBJ_EX", "INST", "OBJ"):
            raise RefusedError(f"it asks to make {self._made(name, argument)}, which is not done")
        elif name == "BUILD":  # the attributes of a table, such as its `_metadata`, are not read
            self.pop()
            if not isinstance(self._stack[-1], dict):
                raise ValueError("attributes of something else than a table")
        elif name in ("APPEND", "APPENDS"):
            items = self._after_mark() if name == "APPENDS" else [self.pop()]
            self._of_kind(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._after_mark() if name == "SETITEMS" else [self.pop(), self.pop()][::-1]
            self._of_kind(dict).update(_pairs(items))
        elif name in ("LIST", "DICT"):
            items = self._after_mark()
            self._stack.append(items if name == "LIST" else dict(_pairs(items)))
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"it takes the step {name}, which no table of tensors takes")

    def _made(self, name: str, argument: Any) -> str:
        """Returns what a step would make, whose class and arguments are on the stack."""
        if name == "INST":
            return str(argument).replace(" ", ".")
        values = self._after_mark()[:1] if name == "OBJ" else self._stack[-3 if name == "NEWOBJ_EX" else -2 :][:1]
        return ", ".join(map(str, values)) or "an object"

    def _after_mark(self) -> list[Any]:
        """Takes the values above the last mark off the stack, and the mark."""
        items = []
        while not isinstance(self._stack[-1], _Mark):
            items.append(self._stack.pop())
        self._stack.pop()
        return items[::-1]

    def _of_kind(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise ValueError(f"items of something else than a {kind.__name__}")
        return self._stack[-1]


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


_VALUES = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
}
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = {"TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
