"""Traced programs kept between runs, so that a second start of a command neither traces nor lowers them again.

JAX's own cache keeps what was compiled and finds it by what was traced. Here, beside it, lies what was traced, found by
what that follows from: the sources of xaijax, the versions of what it builds on, and what the arguments are. No file
can run code of its own when it is opened, and none is opened in a folder that others may write into.
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
"""That are kept, of some 100 kB each; what was used longest ago is dropped."""

DIGEST = 32
"""Bytes before the content of a file, by which a damaged one is known."""


def traced_once(
    function: Callable[..., Any], dynamic: tuple[Any, ...], static: tuple[Any, ...] = (), *, origin: str | None
) -> Any:
    """Returns a compiled function of some of its arguments, traced anew or as an earlier run did.

    Args:
        function: made by `jax.jit`, its static arguments last.
        dynamic: the other arguments, or such of the same shapes, dtypes and shardings.
        static: the static ones, whose text tells all of them.
        origin: what the code in `dynamic` follows from, beside xaijax's sources: whatever can make another network of
            the same arrays. None keeps nothing, as does a JAX that is to keep nothing that it compiles; the function is
            then traced as it is called.

    Returns:
        A function of the arguments `dynamic`, as `jax.jit` makes them.
    """
    told = repr((_told(function, dynamic), static, origin, _surroundings()))
    is_known = origin is not None and " at 0x" not in told  # no function of the user's, known by its address alone
    folder = _folder() if is_known else None
    if folder is None:
        return _bound(function, static)
    path = folder / f"{function.__name__}-{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"
    kept = _read(path)
    if kept is None:
        try:
            content, described = _trace(function, dynamic, static)
        except (NotImplementedError, ValueError):  # JAX has no bytes for some custom calls
            return _bound(function, static)
        with contextlib.suppress(OSError):
            _write(path, content, described)
        kept = content, jax.tree.structure(_structured(described))
    exported, outside = export.deserialize(bytearray(kept[0])), kept[1]
    return jax.jit(lambda *arguments: jax.tree.unflatten(outside, exported.call(*jax.tree.leaves(arguments))))


@functools.cache  # the same object again, so that JAX finds what it compiled in this process
def _bound(function: Callable[..., Any], static: tuple[Any, ...]) -> Any:
    return jax.jit(lambda *arguments: function(*arguments, *static))


def _folder() -> Path | None:
    cache = jax.config.values["jax_compilation_cache_dir"]
    if not cache or "://" in cache or not jax.config.values["jax_enable_compilation_cache"]:
        return None
    folder = Path(cache) / "programs"
    try:
        return folder if make_private(folder) else None
    except OSError:
        return None


def _trace(function: Callable[..., Any], dynamic: Any, static: Any) -> tuple[bytes, Any]:
    """Returns what was traced, as bytes, and the structure of what it returns, as `_described` tells it."""
    leaves, inside = jax.tree.flatten(dynamic)
    outside = None

    def flat(*leaves: Any) -> list[Any]:
        nonlocal outside
        returned = function(*jax.tree.unflatten(inside, leaves), *static)
        outside = _described(returned)
        return jax.tree.leaves(returned)

    exported = export.export(jax.jit(flat))(*leaves)
    return bytes(exported.serialize()), outside


def _described(tree: Any) -> Any:
    """Returns the structure of a pytree as JSON can hold it: of tuples, lists, and dataclasses of this package.

    Raises:
        ValueError: it holds something else.
    """

    def describe(tree: Any) -> Any:
        if tree is None:
            return None
        if type(tree) in (tuple, list):
            return [type(tree).__name__, [describe(each) for each in tree]]
        if dataclasses.is_dataclass(tree):
            fields = {field.name: describe(getattr(tree, field.name)) for field in dataclasses.fields(tree)}
            return [f"{type(tree).__module__}:{type(tree).__qualname__}", fields]
        return "leaf"

    described = describe(tree)
    told: Any = jax.tree.structure(_structured(described))
    if told != jax.tree.structure(tree):
        raise ValueError(f"the structure {jax.tree.structure(tree)} cannot be told in JSON")
    return described


def _structured(described: Any) -> Any:
    """Returns a pytree of a structure that `_described` told; its leaves are zeros.

    Raises:
        ValueError: it names what is no dataclass of this package.
    """
    if described is None or described == "leaf":
        return None if described is None else 0
    name, parts = described
    if name in ("tuple", "list"):
        return {"tuple": tuple, "list": list}[name](map(_structured, parts))
    module, _, kind = name.partition(":")
    found = getattr(importlib.import_module(module), kind, None) if module.startswith("xaijax.") else None
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        raise ValueError(f"{name!r} is no dataclass of xaijax")
    return found(**{field: _structured(part) for field, part in parts.items()})


def _told(function: Callable[..., Any], dynamic: Any) -> Any:
    """Returns which function is traced, and what of its arguments a trace sees."""
    leaves = [
        (jax.tree_util.keystr(path), str(jax.typeof(leaf)), str(getattr(leaf, "sharding", None)))
        for path, leaf in jax.tree.leaves_with_path(dynamic)
    ]
    return function.__module__, function.__qualname__, leaves


def _surroundings() -> Any:
    """Returns what a trace depends on beside its arguments."""
    config = sorted((name, repr(value)) for name, value in jax.config.values.items() if "cache" not in name)
    devices = [(device.platform, device.device_kind) for device in jax.devices()]
    return config, devices, _code()


@functools.cache
def _code() -> tuple[str, ...]:
    """Returns the digest of xaijax's sources, and the versions of what a program is built on."""
    root = Path(xaijax.__file__).parent
    digest = hashlib.blake2b(digest_size=DIGEST)
    for file in sorted(root.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root)} {len(content)}\n".encode() + content)
    return digest.hexdigest(), *(f"{name} {version}" for name, version in package_versions().items())


def _read(path: Path) -> tuple[bytes, Any] | None:
    """Returns a program that was kept, as bytes, and the structure of what it returns."""
    try:
        content = path.read_bytes()
        path.touch()
    except OSError:
        return None
    digest, kept = content[:DIGEST], content[DIGEST:]
    if hashlib.blake2b(kept, digest_size=DIGEST).digest() != digest:
        return None
    structure, _, exported = kept.partition(b"\n")
    try:
        return exported, jax.tree.structure(_structured(json.loads(structure)))
    except (ValueError, TypeError, AttributeError, ImportError):  # written by no version of this module
        return None


def _write(path: Path, program: bytes, described: Any) -> None:
    content = json.dumps(described).encode() + b"\n" + program
    atomic_write(path, hashlib.blake2b(content, digest_size=DIGEST).digest() + content)
    files = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_FILES]:
        file.unlink(missing_ok=True)
