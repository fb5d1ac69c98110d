"""Programs in a process of their own, as a user starts them: how long they take, how they get on, and their memory."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessError(RuntimeError):
    """A process ended with an error, or took too long; the message has the last line of what it said."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """How far a process was at a moment.

    Attributes:
        seconds: since its start.
        resident_bytes: of its memory.
        images: done, as it told.
    """

    seconds: float
    resident_bytes: int
    images: int


@dataclasses.dataclass(frozen=True)
class Watched:
    """A process that has ended well, after so many seconds."""

    seconds: float
    samples: list[Sample]


def run_module(module: str, arguments: Iterable[Any], *, seconds: float | None = None, **environment: str) -> str:
    """Runs `python -m MODULE` and returns what it printed.

    Args:
        module: of this repository.
        arguments: are turned to text.
        seconds: at most; None for no limit.
        **environment: variables beside the process's own.

    Raises:
        ProcessError: it failed, or took longer.
    """
    try:
        done = subprocess.run(
            _command(module, arguments),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"{module} took longer than {seconds:.0f} s") from error
    _check_ended(module, done.returncode, done.stderr)
    return done.stdout


def run_explain(*commands: Sequence[Any], **environment: str) -> float:
    """Runs `xaijax explain` with each of the commands' arguments, all at once, and returns the seconds until all end.

    Raises:
        ProcessError: one failed.
    """
    start = time.perf_counter()
    processes = [_start_explain(arguments, environment) for arguments in commands]
    said = [process.communicate()[1] for process in processes]
    seconds = time.perf_counter() - start
    for process, text in zip(processes, said, strict=True):
        _check_ended("xaijax explain", process.returncode, text)
    return seconds


def watch_explain(arguments: Iterable[Any], *, every: float = 1.0, **environment: str) -> Watched:
    """Runs `xaijax explain` to its end and looks at its memory and progress every so many seconds.

    Raises:
        ProcessError: it failed.
    """
    start = time.perf_counter()
    process = _start_explain([*arguments, "--log-json"], environment)
    told = WorkerStats(process.stderr)
    samples = []
    while True:
        try:
            process.wait(timeout=every)
        except subprocess.TimeoutExpired:
            resident = resident_bytes(process.pid)
            if resident:  # else it has ended just now
                samples.append(Sample(time.perf_counter() - start, resident, told.images))
            continue
        break
    seconds = time.perf_counter() - start
    _check_ended("xaijax explain", process.returncode, told.text())
    return Watched(seconds, samples)


def _start_explain(arguments: Iterable[Any], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        _command("xaijax.cli", ["explain", *arguments]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def _check_ended(name: str, code: int, said: str) -> None:
    if code:
        print(said[-4000:], file=sys.stderr)  # its paths are not for the record that the message may come into
        raise ProcessError(f"{name} ended with {code}: {(said.splitlines() or ['without a word'])[-1]}")


def resident_bytes(process: int) -> int:
    """Returns the memory of a process that is resident; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _command(module: str, arguments: Iterable[Any]) -> Sequence[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


class WorkerStats:
    """What a process says on its standard error, read in a thread; `images` is the last progress in it."""

    def __init__(self, stream: IO[str] | None) -> None:
        self.images = 0
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            if line.startswith('{"done"'):
                self.images = json.loads(line)["done"]
            else:
                self._lines.append(line)

    def text(self) -> str:
        """All but the progress, once the process has ended."""
        self._thread.join()
        return "".join(self._lines)
