"""Compiled programs kept between runs, so that a second start of a command does not compile again."""

import hashlib
import os
import platform
from pathlib import Path

import jax
import jaxlib

MOST_BYTES = 2 << 30
"""Of the cache; JAX drops what was used longest ago."""


def keep_compiled(folder: Path | None = None) -> Path | None:
    """Turns JAX's persistent compilation cache on.

    Args:
        folder: of the cache; None is `xaijax` in the user's cache folder (`XDG_CACHE_HOME`, or `~/.cache`).

    Returns:
        The folder of this machine's programs in it, or None where nothing can be written there. A processor with other
        instructions has another folder: what was compiled for one may not run on another.
    """
    base = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xaijax"
    place = base / hashlib.blake2b(_machine().encode(), digest_size=8).hexdigest()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(place, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return place


def _machine() -> str:
    """Returns what a compiled program depends on beside its own code and the device."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        instructions = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        instructions = platform.processor()
    return "\n".join([platform.machine(), instructions, jax.__version__, jaxlib.__version__])
