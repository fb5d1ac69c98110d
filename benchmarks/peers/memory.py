"""How much memory a method takes: the peak of a process of its own, which explains one photograph.

The process holds one side alone, PyTorch or JAX. Its peak resident memory includes the interpreter, the libraries, the
network and, for xaijax, the compilation; what was resident before the explanation is told beside it. On a GPU the peak
of the device's allocator comes on top.
"""

import contextlib
import dataclasses
import io
import json
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers.contest import Contestant, Subject
from benchmarks.peers.original import Original, Source


@dataclasses.dataclass(frozen=True)
class Job:
    """What the process is asked.

    Attributes:
        key: of the contestant.
        side: whose it is.
        subject: to explain.
        source: of the original.
        tuned: arguments of the tuned one.
        settings: arguments of `peers`.
        options: pickled `Options`, which a process of the peers does not open.
    """

    key: dict[str, str]
    side: str
    subject: Subject
    source: Source
    tuned: dict[str, Any]
    settings: dict[str, int]
    options: bytes


def peak_memory(job: Job) -> dict[str, Any]:
    """Starts the process, and returns its peak in megabytes."""
    command = [sys.executable, "-m", "benchmarks.peers.memory"]
    done = subprocess.run(command, input=pickle.dumps(job), stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _contestant(job: Job) -> Contestant:
    if job.side == "peer":
        from benchmarks.peers.packages import peers

        # A process holds one network: the settings that want the other one are not those that are asked for.
        original = Original(job.source, **({} if job.key["setting"] == "documented" else job.tuned))
        found = peers(original, original, **job.settings)
    else:
        import xaijax
        from benchmarks.peers.own import own_methods

        options = pickle.loads(job.options)
        found = own_methods(xaijax.models.load(options.model, options.weights), options)
    return next(each for each in found if each.key == job.key)


def _peak() -> int:
    """Returns the peak in megabytes; Linux's `ru_maxrss` would be that of the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(kilobytes) * 1024 / 1e6)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def _on_device(job: Job) -> dict[str, float]:
    if job.source.platform != "cuda":
        return {}
    if job.side == "peer":
        import torch

        return {"device_mb": round(torch.cuda.max_memory_allocated() / 1e6)}
    import jax

    return {"device_mb": round(jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 1e6)}


def main() -> None:
    job = pickle.load(sys.stdin.buffer)
    contestant = _contestant(job)
    before = _peak()
    with contextlib.redirect_stderr(io.StringIO()):
        contestant.explain(job.subject)
    print(json.dumps({"peak_mb": _peak(), "before_mb": before} | _on_device(job)))


if __name__ == "__main__":
    main()
