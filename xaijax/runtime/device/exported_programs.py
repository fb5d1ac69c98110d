"""A cache of traced programs, so that a second start of a command neither traces nor lowers them again.

JAX's own cache finds a compiled program by the traced one. This cache, in a folder beside it, finds a traced program by
what it depends on: the sources of xaijax, the versions of the libraries, and the shapes and static values of its
arguments. No file can run code when it is opened, and none is opened in a folder that others may write into.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax import export

import xaijax
from xaijax.atomic_files import atomic_write
from xaijax.runtime.device.compilation_cache import make_private
from xaijax.runtime.device.versions import package_versions

MOST_FILES = 512
"""Maximum number of files in the cache, of some 100 kB each; those used longest ago are deleted."""

DIGEST = 32
"""Bytes of the digest at the start of a file, by which damage is detected."""


def traced_once(
    function: Callable[..., Any],
    dynamic: tuple[Any, ...],
    static: tuple[Any, ...] = (),
    *,
    origin: str | None,
    donated: tuple[int, ...] = (),
) -> Any:
    """Returns a jitted function with its static arguments bound, traced now or loaded from the cache.

    Args:
        function: traceable, or made by `jax.jit`; its static arguments last.
        dynamic: the other arguments, or arrays of the same shapes, dtypes and shardings.
        static: the static arguments; their `repr` must identify them.
        origin: identifies whatever else determines the code in `dynamic`, such as the network that its arrays belong
            to. With None, or if JAX's persistent cache is off, nothing is cached and the function is traced when it is
            called.
        donated: positions of the arguments whose memory a call may use for its results; the caller has no further use
            for them.

    Returns:
        A jitted function of the arguments `dynamic`.
    """
    description = repr((_signature(function, dynamic), static, origin, _environment()))
    # A function of the user's shows as its address, which does not identify it in another process.
    is_identified = origin is not None and " at 0x" not in description
    folder = _folder() if is_identified else None
    if folder is None:
        return _with_static(function, static, donated)
    path = folder / f"{function.__name__}-{hashlib.blake2b(description.encode(), digest_size=16).hexdigest()}"
    cached = _read(path)
    if cached is None:
        try:
            program, structure = _trace(function, dynamic, static)
        except (NotImplementedError, ValueError):  # JAX cannot serialise some custom calls
            return _with_static(function, static, donated)
        with contextlib.suppress(OSError):
            _write(path, program, structure)
        cached = program, jax.tree.structure(_structured(structure))
    exported, output_tree = export.deserialize(bytearray(cached[0])), cached[1]
    return jax.jit(
        lambda *arguments: jax.tree.unflatten(output_tree, exported.call(*jax.tree.leaves(arguments))),
        donate_argnums=donated,
    )


@functools.cache  # the same object again, so that JAX finds what it compiled in this process
def _with_static(function: Callable[..., Any], static: tuple[Any, ...], donated: tuple[int, ...]) -> Any:
    return jax.jit(lambda *arguments: function(*arguments, *static), donate_argnums=donated)


def _folder() -> Path | None:
    """Returns the folder of the cache; None if JAX's persistent cache is off, or if others may write into it."""
    cache = jax.config.values["jax_compilation_cache_dir"]
    if not cache or "://" in cache or not jax.config.values["jax_enable_compilation_cache"]:
        return None
    folder = Path(cache) / "programs"
    try:
        return folder if make_private(folder) else None
    except OSError:
        return None


def _trace(function: Callable[..., Any], dynamic: Any, static: Any) -> tuple[bytes, Any]:
    """Returns the traced program as bytes, and the structure of its result in JSON types."""
    leaves, input_tree = jax.tree.flatten(dynamic)
    structure = None

    def flat(*leaves: Any) -> list[Any]:
        nonlocal structure
        returned = function(*jax.tree.unflatten(input_tree, leaves), *static)
        structure = _to_json(returned)
        return jax.tree.leaves(returned)

    exported = export.export(jax.jit(flat))(*leaves)
    return bytes(exported.serialize()), structure


def _to_json(tree: Any) -> Any:
    """Returns the structure of a pytree of tuples, lists, and dataclasses of this package in JSON types.

    Raises:
        ValueError: it holds something else.
    """

    def describe(tree: Any) -> Any:
        if tree is None:
            return None
        if type(tree) in (tuple, list):
            return [type(tree).__name__, [describe(part) for part in tree]]
        if dataclasses.is_dataclass(tree):
            fields = {field.name: describe(getattr(tree, field.name)) for field in dataclasses.fields(tree)}
            return [f"{type(tree).__module__}:{type(tree).__qualname__}", fields]
        return "leaf"

    structure = describe(tree)
    restored: Any = jax.tree.structure(_structured(structure))
    if restored != jax.tree.structure(tree):
        raise ValueError(f"the structure {jax.tree.structure(tree)} cannot be represented in JSON")
    return structure


def _structured(structure: Any) -> Any:
    """Returns a pytree of zeros with a structure from `_to_json`.

    Raises:
        ValueError: it names something other than a dataclass of this package.
    """
    if structure is None or structure == "leaf":
        return None if structure is None else 0
    name, parts = structure
    if name in ("tuple", "list"):
        return {"tuple": tuple, "list": list}[name](map(_structured, parts))
    module, _, class_name = name.partition(":")
    kind = getattr(importlib.import_module(module), class_name, None) if module.startswith("xaijax.") else None
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        raise ValueError(f"{name!r} is no dataclass of xaijax")
    return kind(**{field: _structured(part) for field, part in parts.items()})


def _signature(function: Callable[..., Any], dynamic: Any) -> Any:
    """Returns the name of the traced function, and the properties of its arguments that a trace depends on."""
    leaves = [
        (jax.tree_util.keystr(path), str(jax.typeof(leaf)), str(getattr(leaf, "sharding", None)))
        for path, leaf in jax.tree.leaves_with_path(dynamic)
    ]
    return function.__module__, function.__qualname__, leaves


def _environment() -> Any:
    """Returns what a trace depends on besides its arguments: JAX's configuration, the devices and the code."""
    config = sorted((name, repr(value)) for name, value in jax.config.values.items() if "cache" not in name)
    devices = [(device.platform, device.device_kind) for device in jax.devices()]
    return config, devices, _code()


@functools.cache
def _code() -> tuple[str, ...]:
    """Returns the digest of xaijax's sources, and the versions of the libraries."""
    root = Path(xaijax.__file__).parent
    digest = hashlib.blake2b(digest_size=DIGEST)
    for file in sorted(root.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root)} {len(content)}\n".encode() + content)
    return digest.hexdigest(), *(f"{name} {version}" for name, version in package_versions().items())


def _read(path: Path) -> tuple[bytes, Any] | None:
    """Returns a cached program as bytes, and the tree structure of its result; None if it is missing or damaged."""
    try:
        content = path.read_bytes()
        path.touch()
    except OSError:
        return None
    digest, content = content[:DIGEST], content[DIGEST:]
    if hashlib.blake2b(content, digest_size=DIGEST).digest() != digest:
        return None
    structure, _, program = content.partition(b"\n")
    try:
        return program, jax.tree.structure(_structured(json.loads(structure)))
    except (ValueError, TypeError, AttributeError, ImportError):  # not written by this version of this module
        return None


def _write(path: Path, program: bytes, structure: Any) -> None:
    """Writes a program to the cache, and deletes the files used longest ago."""
    content = json.dumps(structure).encode() + b"\n" + program
    atomic_write(path, hashlib.blake2b(content, digest_size=DIGEST).digest() + content)
    files = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_FILES]:
        file.unlink(missing_ok=True)
