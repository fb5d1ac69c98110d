"""Traced programs kept between runs, so that a second start of a command neither traces nor lowers them again.

JAX's own cache keeps what was compiled and finds it by what was traced. Here, beside it, lies what was traced, found by
what that follows from: the sources of xaijax, the versions of what it builds on, and what the arguments are.
"""

import contextlib
import functools
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax import export

import xaijax
from xaijax.runtime.versions import package_versions
from xaijax.runtime.whole import write_whole

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
    folder = _folder()
    if folder is None or origin is None:
        return _bound(function, static)
    told = repr((_told(function, dynamic), static, origin, _surroundings()))
    if " at 0x" in told:  # a function of the user's, of which there is no more than its address
        return _bound(function, static)
    path = folder / f"{function.__name__}-{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"
    kept = _read(path)
    if kept is None:
        try:
            kept = _trace(function, dynamic, static)
        except (NotImplementedError, ValueError):  # JAX has no bytes for some custom calls
            return _bound(function, static)
        with contextlib.suppress(OSError):
            _write(path, kept)
    exported, outside = export.deserialize(bytearray(kept[0])), kept[1]
    return jax.jit(lambda *arguments: jax.tree.unflatten(outside, exported.call(*jax.tree.leaves(arguments))))


@functools.cache  # the same object again, so that JAX finds what it compiled in this process
def _bound(function: Callable[..., Any], static: tuple[Any, ...]) -> Any:
    return jax.jit(lambda *arguments: function(*arguments, *static))


def _folder() -> Path | None:
    cache = jax.config.values["jax_compilation_cache_dir"]
    is_on = jax.config.values["jax_enable_compilation_cache"]
    return Path(cache) / "programs" if is_on and cache and "://" not in cache else None


def _trace(function: Callable[..., Any], dynamic: Any, static: Any) -> tuple[bytes, Any]:
    """Returns what was traced, as bytes, and the structure of what it returns."""
    leaves, inside = jax.tree.flatten(dynamic)
    outside = None

    def flat(*leaves: Any) -> list[Any]:
        nonlocal outside
        returned, outside = jax.tree.flatten(function(*jax.tree.unflatten(inside, leaves), *static))
        return returned

    exported = export.export(jax.jit(flat))(*leaves)
    return bytes(exported.serialize()), outside


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
    try:
        content = path.read_bytes()
        path.touch()
    except OSError:
        return None
    digest, kept = content[:DIGEST], content[DIGEST:]
    if hashlib.blake2b(kept, digest_size=DIGEST).digest() != digest:
        return None
    program: tuple[bytes, Any] = pickle.loads(kept)
    return program


def _write(path: Path, program: tuple[bytes, Any]) -> None:
    content = pickle.dumps(program)
    write_whole(path, hashlib.blake2b(content, digest_size=DIGEST).digest() + content)
    files = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_FILES]:
        file.unlink(missing_ok=True)
