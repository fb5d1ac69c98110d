"""What every benchmark writes: its figures with machine, versions and commit, as JSON under `benchmarks/results`."""

import functools
import json
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from xaijax.metrics import summarise
from xaijax.runtime.device.versions import package_versions

RESULTS = Path(__file__).parents[1] / "results"

SHORT_LIST = re.compile(r"\[\s+([^\[\]{}]{1,60}?)\s+\]")
"""A list that a record has on one line, such as a mean with its interval."""


def machine() -> dict[str, Any]:
    """Returns what a figure depends on besides the code."""
    return {
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": package_versions(),
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def write_record(name: str, figures: dict[str, Any], *, show: bool = True) -> None:
    """Writes `results/NAME_PLATFORM.json` and prints it."""
    RESULTS.mkdir(exist_ok=True)
    record = {"machine": machine(), **figures}
    text = SHORT_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", json.dumps(record, indent=2))
    (RESULTS / f"{name}_{jax.default_backend()}.json").write_text(text + "\n")
    if show:
        print(text)


def read_record(name: str) -> dict[str, Any]:
    """Returns what `write_record` wrote on this platform; empty where it never did."""
    path = RESULTS / f"{name}_{jax.default_backend()}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


@functools.cache  # the record that a benchmark writes row by row is no change of the code
def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, cwd=RESULTS.parent).stdout.strip()


def told(values: np.ndarray) -> list[float]:
    """Returns the mean over images and the ends of its 95% interval."""
    summary = summarise(values)
    return [round(figure, 4) for figure in (summary.mean, summary.low, summary.high)]


def plain_options(options: Any) -> dict[str, Any]:
    """Returns a dataclass of options as JSON can hold it; files go by their names."""
    return json.loads(json.dumps({name: _plain(value) for name, value in vars(options).items()}))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return Path(value).name if isinstance(value, str | Path) else value
