"""The folder of a run: what it was asked, and its results once all are there.

`run.json` holds the settings and figures, `results.jsonl` a line an explanation in the order of the input; `rows.py`
and `packed.py` say what else there is. While the run lasts, the journals in `blocks` hold the lines so far.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from xaijax.runtime.journal import BLOCKS, RESULTS, Journal, json_lines
from xaijax.runtime.packed import PACKED, Shards
from xaijax.runtime.rows import SAVED
from xaijax.runtime.share import Share
from xaijax.runtime.whole import PARTS, json_text, whole_file, write_json, write_new

RUN = "run.json"
FOLDERS = ("", *SAVED)
"""Folders, in that of a run and itself, where files are written whole."""


class RunFolder:
    """Where a run writes.

    Args:
        path: of the folder.
        settings: what makes two runs the same.
        names: of the images, in the order of the results.

    Raises:
        ValueError: the folder holds a run of other settings, which the message names, or packed results of other
            images, or it cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], names: Sequence[str]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self._names = names
        digest = hashlib.sha256()
        for name in names:
            digest.update(name.encode(errors="surrogateescape") + b"\0")
        self._images = {"images": len(names), "list": digest.hexdigest()}
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_new(path / RUN, json_text({"settings": self.settings, **self._images}))
            record = json.loads((path / RUN).read_text())
            self._check_settings(record.get("settings", {}))
            self._is_new_list = any(record.get(name) != value for name, value in self._images.items())
            if self._is_new_list:
                if (path / PACKED).exists():
                    raise ValueError(
                        f"{str(path)!r} holds packed results of another list of images; name another folder."
                    )
                write_json(path / RUN, {**record, **self._images})
        except OSError as error:
            raise ValueError(f"cannot write to {str(path)!r} ({error.strerror}); name another folder.") from error

    def _check_settings(self, earlier: Mapping[str, Any]) -> None:
        differ = sorted(
            name for name in earlier.keys() | self.settings.keys() if earlier.get(name) != self.settings.get(name)
        )
        if differ:
            now = self.settings
            listed = ", ".join(f"{name} ({earlier.get(name)!r} then, {now.get(name)!r} now)" for name in differ)
            raise ValueError(
                f"{str(self.path)!r} holds a run with other settings: {listed}; name another folder, or the same "
                "settings."
            )

    def tell(self, share: Share, figures: Mapping[str, Any]) -> None:
        """Writes what a process has to say of itself, until the run is finished."""
        with contextlib.suppress(FileNotFoundError):  # another process has finished the run
            write_json(self.path / BLOCKS / f"process-{share.index}.json", figures)

    def finish(self, journal: Journal, figures: Mapping[str, Any]) -> bool:
        """Writes `results.jsonl` in the order of the input, and `run.json`, and drops the journals.

        Returns:
            Whether all is done; where it is not, other processes are at work and nothing is written.

        Raises:
            ValueError: a process that was started since has another list of images.
        """
        if not self._is_all_done(journal):
            return False  # nobody waits at the lock for such a look
        with _alone(self.path / BLOCKS / "merge.lock"):
            journals = {file: file.stat().st_size for file in (self.path / BLOCKS).glob("*.jsonl")}
            if not self._is_all_done(journal):
                return False
            now = json.loads((self.path / RUN).read_text())
            if now.get("list") != self._images["list"]:
                raise ValueError(
                    f"another list of images than this process has is explained into {str(self.path)!r}; start all "
                    "processes again, with one list."
                )
            if journals or self._is_new_list or not (self.path / RESULTS).exists():
                self._merge(journal, figures)
            for kind in FOLDERS:  # of processes that were killed
                for part in (self.path / kind).glob(PARTS):
                    part.unlink(missing_ok=True)
            if any(file.stat().st_size > size for file, size in journals.items()):
                return False  # another process tries errors again, and will be back
            shutil.rmtree(self.path / BLOCKS, ignore_errors=True)
            journal.scan(is_finished=True)
        return True

    def _is_all_done(self, journal: Journal) -> bool:
        journal.scan()
        return all(journal.is_done(path) for path in self._names)

    def _merge(self, journal: Journal, figures: Mapping[str, Any]) -> None:
        told = [json.loads(file.read_text()) for file in sorted((self.path / BLOCKS).glob("process-*.json"))]
        shards = Shards(self.path)
        with whole_file(self.path / RESULTS) as results:
            for image, rows in enumerate(journal.rows(self._names)):
                results.write(json_lines(shards.take(image, rows)))
            shards.write()
        processes = {"processes": told} if len(told) > 1 else {}
        write_json(self.path / RUN, {"settings": self.settings, **self._images, **figures, **processes})


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock that the processes of a run have in common, where the file system has locks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    with contextlib.suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release(force=True)
