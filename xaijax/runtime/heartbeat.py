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
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xaijax.runtime.folder import drop_empty, writing_to
from xaijax.runtime.layout import BLOCKS
from xaijax.runtime.share import Share
from xaijax.runtime.whole import write_new

BEAT_S = 4.0
"""Seconds between two beats."""

WATCH_S = 3 * BEAT_S
"""Seconds after which a process of another machine that has not beaten is dead."""

_NAME = re.compile(r"process-\d+\.alive")


class FolderInUseError(ValueError):
    """Another process explains the same images into the same folder."""


@contextlib.contextmanager
def working_in(folder: Path, share: Share) -> Iterator[None]:
    """Beats while the block lasts.

    Args:
        folder: of the run.
        share: of this process; processes with other shares of the same run may work beside it.

    Raises:
        FolderInUseError: another living process has images of this share.
    """
    file = folder / BLOCKS / f"process-{share.index}.alive"
    about = {"share": dataclasses.asdict(share), **_process()}
    with writing_to(folder):
        file.parent.mkdir(exist_ok=True)
        for other in _others(file.parent):
            _check(folder, other, share)
            if other == file:
                other.unlink(missing_ok=True)
        if not write_new(file, _content(about, 0)):  # two have begun at once
            raise FolderInUseError(_sentence(folder, _read(file) or {}))
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(file, about, over), daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        file.unlink(missing_ok=True)
        drop_empty(file.parent)


def _others(blocks: Path) -> list[Path]:
    return sorted(file for file in blocks.glob("process-*.alive") if _NAME.fullmatch(file.name))


def _check(folder: Path, file: Path, share: Share) -> None:
    about = _read(file)
    if about is not None and _overlaps(about, share) and _is_alive(file, about):
        raise FolderInUseError(_sentence(folder, about))


def _sentence(folder: Path, about: dict[str, Any]) -> str:
    who = f" (number {about.get('pid')} on {about.get('host')!r})" if about else ""
    return f"another process{who} is explaining these images into {str(folder)!r}; wait for it, or stop it first."


def _overlaps(about: dict[str, Any], share: Share) -> bool:
    """Whether a process has images of a share; of the same cut into shares each has its own."""
    theirs = about.get("share")
    cut = {"count": share.count, "block": share.block}
    if isinstance(theirs, dict) and cut.items() <= theirs.items():
        return theirs.get("index") == share.index
    return True


def _is_alive(file: Path, about: dict[str, Any]) -> bool:
    """Whether a process lives: its system is asked where it is ours, else it has some time to beat."""
    here = _process()
    if about.get("system") == here["system"]:
        return _started(about.get("pid")) == about.get("started")
    told = f"xaijax: a process on {about.get('host')!r} was at work here; looking for up to {WATCH_S:.0f} s whether it"
    print(f"{told} still is ...", file=sys.stderr)
    end = time.monotonic() + WATCH_S
    while time.monotonic() < end:
        time.sleep(min(BEAT_S / 4, WATCH_S / 4))
        now = _read(file)
        if now is None:
            return file.exists()  # it is being written, or its process has ended
        if now != about:
            return True
    return False


def _beat(file: Path, about: dict[str, Any], over: threading.Event) -> None:
    beats = 0
    while not over.wait(BEAT_S):
        beats += 1
        try:
            with file.open("r+b") as opened:  # never made anew: the run may have been finished
                opened.write(_content(about, beats))
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
    """Returns when a process of this system was started, as the system tells it; None where there is none."""
    try:
        told = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
        return None if told[0] in "ZX" else told[19]  # a zombie has ended, though nobody has asked after it
    except (OSError, ValueError, TypeError, IndexError):
        pass
    try:
        os.kill(int(pid), 0)
    except PermissionError:  # another user's
        return "unknown"
    except (OSError, ValueError, TypeError):
        return None
    return "unknown"
