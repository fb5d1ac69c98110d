"""The compiled programs of `explain`, of which a process keeps as many as its memory maps allow.

Every batch size, shape, set of options and function of a classifier has a program of its own. On CPU it holds hundreds
of memory maps, of which Linux allows a process some 65,000: past these, compiling ends the process.
"""

import collections
import gc
import threading
import warnings
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import jax

KEPT_SHARE = 0.4
"""Share of the allowed memory maps up to which programs are kept; the rest is for the next one and for other code."""

WARNED_SHARE = 0.8
"""Share of the allowed memory maps above which compiling may soon fail."""

MOST = 32
"""Programs that are kept where memory maps cannot be counted."""


def memory_maps() -> tuple[int, int] | None:
    """Returns how many memory maps this process holds, and how many it may hold; None where the system does not say."""
    try:
        allowed = int(Path("/proc/sys/vm/max_map_count").read_text())
        with Path("/proc/self/maps").open("rb") as maps:
            return sum(1 for _ in maps), allowed
    except (OSError, ValueError):
        return None


class Programs:
    """Compiled functions by what they were compiled for; of too many, those that were called longest ago are dropped.

    Args:
        count: see `memory_maps`; it is called after each compilation.
        most: programs to keep where it returns None.
    """

    def __init__(self, count: Callable[[], tuple[int, int] | None] = memory_maps, most: int = MOST) -> None:
        self._count = count
        self._most = most
        self._programs: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._warned = False

    def __len__(self) -> int:
        return len(self._programs)

    def __call__(self, function: Callable[..., Any], dynamic: tuple[Any, ...], static: tuple[Any, ...] = ()) -> Any:
        """Calls a function as `jax.jit` does.

        Args:
            function: traceable, its static arguments last.
            dynamic: the other arguments, pytrees of arrays.
            static: the static ones, hashable.
        """
        leaves, structure = jax.tree.flatten(dynamic)
        key = function, static, structure, tuple(jax.typeof(leaf) for leaf in leaves)
        with self._lock:
            program = self._programs.pop(key, None)
            is_new = program is None
            if is_new:
                program = jax.jit(_bound(function, static))
            self._programs[key] = program
        if not is_new:
            return program(*dynamic)
        try:
            result = program(*dynamic)
        except BaseException:
            with self._lock:
                self._programs.pop(key, None)
            raise
        self._make_room()
        return result

    def _make_room(self) -> None:
        """Drops programs until memory maps are left for others, and warns where that is not enough."""
        counted = self._count()
        if counted is None:
            self._drop(len(self) - self._most)
            return
        held, allowed = counted
        while held > KEPT_SHARE * allowed and len(self) > 1:
            # Several at a time, as each collection goes through all objects of the process.
            self._drop(-(-(len(self) - 1) // 4))
            gc.collect()
            held, allowed = self._count() or (0, allowed)
        if held > WARNED_SHARE * allowed and not self._warned:
            self._warned = True
            warnings.warn(
                f"this process holds {held} of the {allowed} memory maps that Linux allows, most of them for programs "
                "that JAX compiled outside of explain; past these, compiling ends the process. Drop programs with "
                "jax.clear_caches(), or allow more maps: sysctl -w vm.max_map_count=262144.",
                stacklevel=4,
            )

    def _drop(self, count: int) -> None:
        """Drops the programs that were called longest ago, but never the last one."""
        with self._lock:
            for _ in range(min(count, len(self._programs) - 1)):
                self._programs.popitem(last=False)


def _bound(function: Callable[..., Any], static: tuple[Any, ...]) -> Callable[..., Any]:
    """Returns a function of its own, so that JAX forgets what it compiled of it when it is dropped."""

    def bound(*arguments: Any) -> Any:
        return function(*arguments, *static)

    bound.__name__ = function.__name__  # shown in profiles
    return bound


call_compiled = Programs()
"""Those of this process."""
