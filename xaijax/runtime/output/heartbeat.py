"""Who works in the folder of a run: a file for each process, which beats while it lives.

Two starts of one command would explain the same images and write to the same journals. The second one finds the first
one's file and leaves; that of a process that was killed stops nobody.
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
"""Seconds between two beats."""

WATCH_S = 3 * BEAT_S
"""Seconds after which a process of another machine that has not beaten is dead."""

_NAME = re.compile(r"process-\d+\.alive")


class FolderInUseError(ValueError):
    """Another process explains the same images into the same folder."""


@contextlib.contextmanager
def working_in(folder: Path, partition: Partition) -> Iterator[None]:
    """Beats while the block lasts.

    Args:
        folder: of the run.
        partition: of this process; processes with other shares of the same run may work beside it.

    Raises:
        FolderInUseError: another living process has images of this share.
    """
    file = folder / BLOCKS / f"process-{partition.index}{ALIVE}"
    about = {"share": dataclasses.asdict(partition), "writer": WRITER, **_process()}
    with writing_to(folder):
        file.parent.mkdir(exist_ok=True)
        _leave_to_the_living(folder, partition, file)
        if not write_new(file, _content(about, 0)):  # two have begun at once
            raise FolderInUseError(_sentence(folder, _read(file) or {}))
        for other, theirs in _others(folder).items():
            if other != file and _overlaps(theirs, partition):  # begun since
                file.unlink(missing_ok=True)
                raise FolderInUseError(_sentence(folder, theirs))
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(file, about, over), daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for other, theirs in _others(folder).items():
            if _is_gone(theirs) or _is_of(theirs, about):
                other.unlink(missing_ok=True)
        drop_empty(file.parent)


def living_writers(folder: Path) -> set[str]:
    """Returns the `WRITER` of each process that may be at work in the folder of a run."""
    return {str(about.get("writer")) for about in _others(folder).values() if not _is_gone(about)}


def _others(folder: Path) -> dict[Path, dict[str, Any]]:
    """Returns what each process in the folder of a run says of itself."""
    files = sorted(file for file in (folder / BLOCKS).glob(f"process-*{ALIVE}") if _NAME.fullmatch(file.name))
    return {file: about for file in files if (about := _read(file)) is not None}


def _leave_to_the_living(folder: Path, partition: Partition, own: Path) -> None:
    """Looks at who is or was at work, and deletes the files of the dead.

    Raises:
        FolderInUseError: one of them lives, and has images of the share.
    """
    others = _others(folder)
    if own not in others:  # junk
        own.unlink(missing_ok=True)
    unknown: dict[Path, dict[str, Any]] = {}
    for file, about in others.items():
        is_gone = _is_gone(about)
        if is_gone:
            file.unlink(missing_ok=True)
        elif _overlaps(about, partition):
            if is_gone is not None:
                raise FolderInUseError(_sentence(folder, about))
            unknown[file] = about
    if not unknown:
        return
    hosts = ", ".join(sorted({repr(about.get("host")) for about in unknown.values()}))
    say(f"processes on {hosts} were at work here; looking for {WATCH_S:.0f} s whether they still are ...")
    end = time.monotonic() + WATCH_S
    while time.monotonic() < end:
        time.sleep(WATCH_S / 12)
        for file, about in unknown.items():
            now = _read(file)
            if now is not None and now != about:
                raise FolderInUseError(_sentence(folder, about))
    for file in unknown:
        file.unlink(missing_ok=True)


def _sentence(folder: Path, about: dict[str, Any]) -> str:
    who = f" (number {about.get('pid')} on {about.get('host')!r})" if about else ""
    return f"another process{who} is explaining these images into {str(folder)!r}; wait for it, or stop it first."


def _overlaps(about: dict[str, Any], partition: Partition) -> bool:
    """Whether a process has images of a share; of the same cut into shares each has its own."""
    theirs = about.get("share")
    cut = {"count": partition.count, "block": partition.block}
    if isinstance(theirs, dict) and cut.items() <= theirs.items():
        return theirs.get("index") == partition.index
    return True


def _is_gone(about: dict[str, Any]) -> bool | None:
    """Whether a process has ended, if that can be told at once: of one of this system, which knows when it began."""
    here = _process()
    if about.get("system") != here["system"] or about.get("started") is None or here["started"] is None:
        return None
    return _started(about.get("pid")) != about["started"]


def _is_of(about: dict[str, Any], own: dict[str, Any]) -> bool:
    return {**about, "beats": ""} == {**own, "beats": ""}


def _beat(file: Path, own: dict[str, Any], over: threading.Event) -> None:
    beats = 0
    while not over.wait(BEAT_S):
        beats += 1
        about = _read(file)
        if about is None or not _is_of(about, own):
            continue  # taken for dead, and another process has its place
        try:
            with file.open("r+b") as opened:  # never made anew
                opened.write(_content(own, beats))
        except OSError:
            continue


def _content(about: dict[str, Any], beats: int) -> bytes:
    return json.dumps({**about, "beats": f"{beats:012d}"}).encode()  # always of the same length


def _read(file: Path) -> dict[str, Any] | None:
    try:
        about = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) else None


def _process() -> dict[str, Any]:
    """Returns by what this process is known on its system, and its system among others."""
    return {"host": platform.node(), "system": _system(), "pid": os.getpid(), "started": _started(os.getpid())}


def _system() -> str:
    """Names the system whose process numbers ours is one of: a start of a machine, and a container on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return platform.node()


def _started(pid: Any) -> str | None:
    """Returns when a process of this system was started, as Linux tells it; None where it has ended, or elsewhere."""
    try:
        told = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
        return None if told[0] in "ZX" else told[19]  # a zombie has ended, though nobody has asked after it
    except (OSError, ValueError, TypeError, IndexError, OverflowError):
        return None
