"""How long the device is idle while something runs, off a trace by JAX's profiler."""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax


def idle_figures(call: Callable[[], object]) -> dict[str, Any]:
    """Returns the share of the time of a warm call in which the first device does nothing.

    The device's busy time comes from a trace; the call's own time from another call, which no trace slows down. What
    the device itself waits for between two kernels counts as idle.
    """
    start = time.perf_counter()
    call()
    wall = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            call()
        spans = [span for file in Path(folder).rglob("*.xplane.pb") for span in device_spans(file)]
    if not spans:
        return {"wall_s": wall, "idle_share": None, "note": "the trace tells nothing of a device"}
    busy = covered(spans) / 1e9
    return {"wall_s": wall, "busy_s": busy, "idle_share": max(0.0, 1 - busy / wall), "kernels": len(spans)}


def device_spans(file: Path) -> list[tuple[float, float]]:
    """Returns begin and end, in nanoseconds, of each kernel and copy that a trace has of the first device."""
    spans = []
    for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
        if plane.name.startswith(("/device:GPU:0", "/device:TPU:0")):
            lines = list(plane.lines)
            streams = [line for line in lines if line.name.startswith(("Stream", "XLA Ops"))]
            spans += [(event.start_ns, event.start_ns + event.duration_ns) for line in streams for event in line.events]
    return spans


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Returns the length of the union of spans."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total
