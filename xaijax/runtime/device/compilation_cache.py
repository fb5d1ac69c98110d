"""JAX's persistent compilation cache, so that a second start of a command does not compile again.

Whoever can write into its folder decides which code this process runs: a folder that others can write into is not used.
"""

import hashlib
import os
import platform
import stat
from pathlib import Path

import jax
import jaxlib

from xaijax.runtime.progress import say

MOST_BYTES = 2 << 30
"""Maximum size of the cache; JAX evicts the programs used longest ago."""


def keep_compiled(folder: Path | None = None) -> Path | None:
    """Turns JAX's persistent compilation cache on.

    Args:
        folder: of the cache; None is `user_cache`.

    Returns:
        The folder in it with the programs for this machine, or None if this process cannot write there, or others can,
        or there is none.
        A processor with other instructions has another folder: a program compiled for one may not run on the other.
    """
    base = folder or user_cache()
    if base is None:
        return None
    own = base / hashlib.blake2b(_machine().encode(), digest_size=8).hexdigest()
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        for directory in (base, own):
            if not make_private(directory):
                say(
                    f"{str(directory)!r} belongs to somebody else, or others may write into it, so that no compiled "
                    "program is taken from there; delete it, or set XDG_CACHE_HOME to a folder of your own."
                )
                return None
    except OSError:
        return None
    if not os.access(own, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(own))
    jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return own


def user_cache() -> Path | None:
    """Returns `xaijax` in the user's cache folder (`XDG_CACHE_HOME`, or `~/.cache`); None for one without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xaijax"
    except RuntimeError:  # no HOME, and no entry in the passwords' file, as for a container's arbitrary user
        return None


def make_private(folder: Path) -> bool:
    """Creates a folder for this user only, unless it exists, and returns whether nobody else can write into it.

    Raises:
        OSError: it cannot be created.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if not hasattr(os, "geteuid"):  # a system with other permissions
        return True
    status = folder.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _machine() -> str:
    """Describes what a compiled program depends on besides its own code and the device."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        instructions = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        instructions = platform.processor()
    return "\n".join([platform.machine(), instructions, jax.__version__, jaxlib.__version__])
