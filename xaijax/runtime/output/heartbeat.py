"""Heartbeats: one file per process in the folder of a run, updated while the process lives.

Two starts of the same command would explain the same images and write to the same journals. The second one finds the
heartbeat of the first and gives up; the heartbeat of a killed process stops nobody.
"""

import contextlib
import dataclasses
import json
import os
import platform
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xaijax.atomic_files import WRITER, drop_empty, write_new, writing_to
from xaijax.runtime.layout import ALIVE, BLOCKS
from xaijax.runtime.partition import Partition
from xaijax.runtime.progress import say

BEAT_S = 4.0
"""Seconds between two updates of a heartbeat."""

WATCH_S = 3 * BEAT_S
"""Seconds without an update after which a process on another machine is considered dead."""

Heartbeat = dict[str, Any]
"""The content of a heartbeat: `share`, `writer`, `host`, `system`, `pid`, `started`, and the number of `beats`."""

_NAME = re.compile(r"process-\d+\.alive")


class FolderInUseError(ValueError):
    """Another process explains the same images into the same folder."""


@contextlib.contextmanager
def working_in(folder: Path, partition: Partition) -> Iterator[None]:
    """Keeps a heartbeat in the folder of a run while the block lasts.

    Args:
        folder: of the run.
        partition: of this process; processes with other shares of the same run may work beside it.

    Raises:
        FolderInUseError: another living process explains images of this share.
    """
    file = folder / BLOCKS / f"process-{partition.index}{ALIVE}"
    own = {"share": dataclasses.asdict(partition), "writer": WRITER, **_this_process()}
    with writing_to(folder):
        file.parent.mkdir(exist_ok=True)
        _check_share_is_free(folder, partition, file)
        if not write_new(file, _content(own, 0)):  # another process has started at the same moment
            raise FolderInUseError(_in_use(folder, _read(file) or {}))
        for other_file, other in _heartbeats(folder).items():
            if other_file != file and _overlaps(other, partition):  # started since the check
                file.unlink(missing_ok=True)
                raise FolderInUseError(_in_use(folder, other))
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(file, own, over), daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for other_file, other in _heartbeats(folder).items():
            if _has_ended(other) or _is_same_process(other, own):
                other_file.unlink(missing_ok=True)
        drop_empty(file.parent)


def living_writers(folder: Path) -> set[str]:
    """Returns the `WRITER` of each process that may be at work in the folder of a run."""
    return {str(heartbeat.get("writer")) for heartbeat in _heartbeats(folder).values() if not _has_ended(heartbeat)}


@contextlib.contextmanager
def holding(folder: Path, file: Path) -> Iterator[None]:
    """Holds a lock among the processes that keep heartbeats in a folder, for file systems that have no locks.

    The lock of a process that has died is taken over: on this system at once, of another one after `WATCH_S` seconds
    without a beat.

    Args:
        folder: of the run.
        file: of the lock.
    """
    seen, since = None, time.monotonic()
    while not write_new(file, WRITER.encode()):
        holder = _read_text(file)
        heartbeat = next((each for each in _heartbeats(folder).values() if each.get("writer") == holder), None)
        if (holder, heartbeat) != seen:
            seen, since = (holder, heartbeat), time.monotonic()
        has_ended = heartbeat is None or _has_ended(heartbeat)
        if holder is not None and (has_ended or (has_ended is None and time.monotonic() - since > WATCH_S)):
            _take_away(file, holder)
        else:
            time.sleep(0.2)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _take_away(file: Path, holder: str) -> None:
    """Deletes the lock of a process that has died, unless another process has done so and holds it now."""
    taken = file.with_name(f".{file.name}.{WRITER}{'0' * 8}.part")
    with contextlib.suppress(FileNotFoundError):
        file.rename(taken)
        if _read_text(taken) != holder:
            write_new(file, taken.read_bytes())
        taken.unlink()


def _read_text(file: Path) -> str | None:
    try:
        return file.read_text()
    except (OSError, ValueError):
        return None


def _heartbeats(folder: Path) -> dict[Path, Heartbeat]:
    """Returns the heartbeats in the folder of a run by file."""
    files = sorted(file for file in (folder / BLOCKS).glob(f"process-*{ALIVE}") if _NAME.fullmatch(file.name))
    return {file: heartbeat for file in files if (heartbeat := _read(file)) is not None}


def _check_share_is_free(folder: Path, partition: Partition, own_file: Path) -> None:
    """Checks that no living process explains images of a share, and deletes the heartbeats of dead processes.

    Raises:
        FolderInUseError: a living process does.
    """
    heartbeats = _heartbeats(folder)
    if own_file not in heartbeats:  # it is damaged
        own_file.unlink(missing_ok=True)
    unknown: dict[Path, Heartbeat] = {}
    for file, heartbeat in heartbeats.items():
        has_ended = _has_ended(heartbeat)
        if has_ended:
            file.unlink(missing_ok=True)
        elif _overlaps(heartbeat, partition):
            if has_ended is not None:
                raise FolderInUseError(_in_use(folder, heartbeat))
            unknown[file] = heartbeat
    if not unknown:
        return
    hosts = ", ".join(sorted({repr(heartbeat.get("host")) for heartbeat in unknown.values()}))
    say(f"processes on {hosts} were at work here; checking for {WATCH_S:.0f} s whether they still are ...")
    end = time.monotonic() + WATCH_S
    while time.monotonic() < end:
        time.sleep(WATCH_S / 12)
        for file, heartbeat in unknown.items():
            now = _read(file)
            if now is not None and now != heartbeat:
                raise FolderInUseError(_in_use(folder, heartbeat))
    for file in unknown:
        file.unlink(missing_ok=True)


def _in_use(folder: Path, heartbeat: Heartbeat) -> str:
    """Returns the message that a process is at work."""
    process = f" (number {heartbeat.get('pid')} on {heartbeat.get('host')!r})" if heartbeat else ""
    return f"another process{process} is explaining these images into {str(folder)!r}; wait for it, or stop it first."


def _overlaps(heartbeat: Heartbeat, partition: Partition) -> bool:
    """Whether a process explains images of a share; shares of one partitioning overlap only if they are equal."""
    share = heartbeat.get("share")
    partitioning = {"count": partition.count, "block": partition.block}
    if isinstance(share, dict) and partitioning.items() <= share.items():
        return share.get("index") == partition.index
    return True


def _has_ended(heartbeat: Heartbeat) -> bool | None:
    """Whether a process of this system has ended; None if that is not known, as for processes of other systems."""
    here = _this_process()
    if heartbeat.get("system") != here["system"] or heartbeat.get("started") is None or here["started"] is None:
        return None
    return _started(heartbeat.get("pid")) != heartbeat["started"]


def _is_same_process(heartbeat: Heartbeat, own: Heartbeat) -> bool:
    return {**heartbeat, "beats": ""} == {**own, "beats": ""}


def _beat(file: Path, own: Heartbeat, over: threading.Event) -> None:
    """Updates the heartbeat of this process until `over` is set."""
    beats = 0
    while not over.wait(BEAT_S):
        beats += 1
        heartbeat = _read(file)
        if heartbeat is None or not _is_same_process(heartbeat, own):
            continue  # another process took this one for dead and deleted or replaced its heartbeat
        try:
            with file.open("r+b") as opened:  # which never creates the file again
                opened.write(_content(own, beats))
        except OSError:
            continue


def _content(own: Heartbeat, beats: int) -> bytes:
    return json.dumps({**own, "beats": f"{beats:012d}"}).encode()  # always of the same length


def _read(file: Path) -> Heartbeat | None:
    """Reads a heartbeat; None if it does not exist or is damaged."""
    try:
        heartbeat = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return heartbeat if isinstance(heartbeat, dict) else None


def _this_process() -> dict[str, Any]:
    """Returns what identifies this process on its system, and its system."""
    return {"host": platform.node(), "system": _system(), "pid": os.getpid(), "started": _started(os.getpid())}


def _system() -> str:
    """Identifies the scope of a process id: a boot of a machine, and a PID namespace (a container) on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return platform.node()


def _started(pid: Any) -> str | None:
    """Returns the start time of a process of this system, in ticks; None if it has ended, or if this is not Linux."""
    try:
        fields = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]  # a zombie has ended, though its parent has not waited for it
    except (OSError, ValueError, TypeError, IndexError, OverflowError):
        return None
