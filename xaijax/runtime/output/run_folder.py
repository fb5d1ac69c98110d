"""The folder of a run: its settings, and its results once all are there.

`run.json` holds settings and figures, `results.jsonl` one line per explanation in the order of the input;
`result_files.py` and `packed_shards.py` describe the other files. While the run lasts, the journals in `blocks` hold
the lines so far. Only files that a run wrote, recognised by their names, are ever replaced or deleted.
"""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from xaijax.atomic_files import atomic_file, drop_empty, is_part, json_text, write_json, write_new, writing_to
from xaijax.runtime.layout import ALIVE, BLOCKS, RESULTS, RUN, SAVED, THROUGH
from xaijax.runtime.output.heartbeat import holding, living_writers
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.packed_shards import drop_shards, move_to_shards
from xaijax.runtime.output.record import FORMAT, KEYS, OF_BLOCKS, check_base, check_is_free, check_settings, read_record
from xaijax.runtime.output.result_files import files_of
from xaijax.runtime.output.result_lines import json_lines
from xaijax.runtime.partition import Partition


class RunFolder:
    """The folder that a run writes to; created, or checked to be that of the same run.

    Args:
        path: of the folder; it is empty or does not exist, or holds the run.
        settings: that two starts of a run must have in common.
        names: of the images, in the order of the results.
        allow_version_change: whether the versions of xaijax and JAX may be others than those that the run began with.

    Attributes:
        versions: those that are others.
        unlisted: images that are explained in the folder and not listed now; see `take_list`.

    Raises:
        ValueError: the folder holds something else, or a run of other settings, which the message names, or of other
            images with the same names, or it cannot be written.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], names: Sequence[str], *, allow_version_change: bool = False
    ) -> None:
        self.path = path
        self.settings = settings
        self.unlisted: list[str] = []
        self._names = names
        digest = hashlib.sha256()
        for name in names:
            digest.update(name.encode(errors="surrogateescape") + b"\0")
        is_relative = any(not os.path.isabs(name) and "://" not in name for name in names)
        base = os.getcwd() if is_relative else None
        self._list = {"images": len(names), "unlisted": 0, "list": digest.hexdigest(), "folder": base}
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not (path / RUN).exists():
                check_is_free(path)
                write_new(path / RUN, json_text({"format": FORMAT, "settings": self.settings, **self._list}))
            record = read_record(path)
        except OSError as error:
            raise ValueError(f"cannot write to {str(path)!r} ({error.strerror}); name another folder.") from error
        self.versions = check_settings(path, record, settings, allow_version_change=allow_version_change)
        self.settings = record["settings"]  # those that it began with
        self._drop_merged(record)
        self._list["folder"] = check_base(path, record["folder"], base)

    def _drop_merged(self, record: dict[str, Any]) -> None:
        """Deletes the journals that a process had merged when it was killed, unless they have changed since."""
        sizes = record.pop("journals", {})
        for name, size in sizes.items():
            file = self.path / BLOCKS / name
            with contextlib.suppress(FileNotFoundError):
                if OF_BLOCKS.fullmatch(name) and file.stat().st_size == size:
                    file.unlink()
        if sizes:
            with writing_to(self.path):
                write_json(self.path / RUN, record, durable=True)

    @property
    def images(self) -> int:
        """How many images are listed."""
        return len(self._names)

    def take_list(self, journal: Journal) -> None:
        """Records this list of images as the run's; images explained before and not listed now are kept, at the end."""
        listed = set(self._names)
        self.unlisted = [path for path in journal.paths if path not in listed]
        self._list["unlisted"] = len(self.unlisted)
        if any(read_record(self.path)[name] != value for name, value in self._list.items()):
            with _locked(self.path):
                write_json(self.path / RUN, {**read_record(self.path), **self._list}, durable=True)

    def sentences(self, *, prune: bool) -> Iterator[str]:
        """Yields a sentence about the images that are not listed now, if any."""
        if self.unlisted:
            count = f"{len(self.unlisted)} explained image(s) that are not listed now"
            yield f"{count} are dropped." if prune else f"{count} stay in {str(self.path)!r}; --prune drops them."

    def write_figures(self, partition: Partition, figures: Mapping[str, Any]) -> None:
        """Writes the figures of a process, which are merged into `run.json` when the run is finished."""
        with contextlib.suppress(FileNotFoundError):  # another process has finished the run
            write_json(self.path / BLOCKS / f"process-{partition.index}.json", figures)

    def finish(self, journal: Journal, figures: Mapping[str, Any], *, prune: bool = False) -> bool:
        """Writes `results.jsonl` in the order of the input, and `run.json`, and deletes the journals.

        Args:
            journal: of the run.
            figures: of this process, for `run.json`.
            prune: whether to drop explanations that are not listed now, with their files, rather than keep them.

        Returns:
            Whether all images are done; if not, other processes are at work and nothing is written.

        Raises:
            ValueError: a process that was started later has another list of images.
        """
        if not self._is_all_done(journal):
            return False  # without waiting for the lock
        with _locked(self.path):
            journals = {file: file.stat().st_size for file in journal.blocks}
            if not self._is_all_done(journal):
                return False
            record = read_record(self.path)
            if record["list"] != self._list["list"]:
                raise ValueError(
                    f"another list of images than this process has is explained into {str(self.path)!r}; start all "
                    "processes again, with one list."
                )
            if not journals:  # nothing was explained since
                figures = {name: value for name, value in record.items() if name not in (*KEYS, *self._list)}
            is_pruned = prune and len(self.unlisted) > 0
            is_damaged = len(journal.damaged) > 0
            is_merged = (self.path / RESULTS).exists() and record.get("merged") == self._list["list"]
            if journals or is_pruned or is_damaged or not is_merged:
                self._merge(journal, figures, journals, prune=prune)
            living = living_writers(self.path)
            for kind in ("", *SAVED):
                _drop(file for file in (self.path / kind).glob(".*.part") if is_part(file.name, excluding=living))
            if any(file.stat().st_size > size for file, size in journals.items()):
                return False  # another process is explaining failed images again, and will finish the run
            self._drop_blocks(journals)
            journal.scan()
        return True

    def say_through(self, partition: Partition) -> None:
        """Says to the other processes that this one has been through its share; see `are_through`."""
        with contextlib.suppress(FileNotFoundError):  # another process has finished the run
            write_json(self.path / BLOCKS / f"process-{partition.index}{THROUGH}", self._share(partition), durable=True)

    def begin_share(self, partition: Partition) -> None:
        """Takes back what an earlier start of this process has said; see `say_through`."""
        (self.path / BLOCKS / f"process-{partition.index}{THROUGH}").unlink(missing_ok=True)

    def are_through(self, partition: Partition) -> bool:
        """Returns whether all processes have said that they are through: of those that end together, the last sees it.

        The files are asked for by name, as a network's file system may list a folder as it was a minute ago.
        """
        files = (self.path / BLOCKS / f"process-{index}{THROUGH}" for index in range(partition.count))
        return all(_read(file) == [self._share(partition)] for file in files)

    def _share(self, partition: Partition) -> dict[str, Any]:
        return {"list": self._list["list"], "count": partition.count, "block": partition.block}

    def _is_all_done(self, journal: Journal) -> bool:
        journal.scan()
        return all(journal.is_done(path) for path in self._names)

    def _merge(
        self, journal: Journal, figures: Mapping[str, Any], journals: Mapping[Path, int], *, prune: bool
    ) -> None:
        """Merges the journals into `results.jsonl` and `run.json`, then deletes files that are no longer used."""
        listed = set(self._names)
        unlisted = [path for path in journal.paths if path not in listed]
        processes = [figures for file in sorted((self.path / BLOCKS).glob("process-*.json")) for figures in _read(file)]
        kept = itertools.chain(self._names, () if prune else unlisted)
        shards: set[int] = set()
        stems: set[str] = set()
        pruned = [row["files"] for rows in journal.rows(unlisted if prune else ()) for row in rows if "files" in row]
        first = max(journal.shards, default=-1) + 1
        with atomic_file(self.path / RESULTS, durable=True) as results:
            for rows in move_to_shards(self.path, journal.rows(kept), first):
                results.write(json_lines(rows))
                shards.update(row["shard"] for row in rows if "shard" in row)
                if pruned:
                    stems.update(row["files"] for row in rows if "files" in row)
        self._list["unlisted"] = 0 if prune else len(unlisted)
        record = {"format": FORMAT, "settings": self.settings, **self._list, "merged": self._list["list"]}
        # Journals are deleted one by one: if this process is killed meanwhile, the next one knows which are merged.
        record["journals"] = {file.name: size for file, size in journals.items()}
        record |= {**figures, **({"processes": processes} if len(processes) > 1 else {})}
        write_json(self.path / RUN, record, durable=True)
        drop_shards(self.path, shards)
        _drop(file for stem in set(pruned) - stems for file in files_of(self.path, stem).values())

    def _drop_blocks(self, merged: Mapping[Path, int]) -> None:
        """Deletes the merged journals and the processes' figures; other processes may still be at work."""
        blocks = self.path / BLOCKS
        living = living_writers(self.path)
        with contextlib.suppress(FileNotFoundError):
            for file in {*merged, *blocks.iterdir()}:
                is_ours = OF_BLOCKS.fullmatch(file.name) is not None and file.suffix not in (".jsonl", ALIVE)
                if file in merged or is_ours or is_part(file.name, excluding=living):
                    file.unlink(missing_ok=True)
        drop_empty(blocks)


def _read(file: Path) -> list[dict[str, Any]]:
    """Returns what a process has written, if the file is there and valid."""
    with contextlib.suppress(OSError, ValueError):
        written = json.loads(file.read_bytes())
        if isinstance(written, dict):
            return [written]
    return []


def _drop(files: Iterable[Path]) -> None:
    for file in list(files):
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock that the processes of a run share."""
    blocks = folder / BLOCKS
    blocks.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(blocks / "merge.lock", fallback_to_soft=False)
    try:
        lock.acquire()
    except (OSError, NotImplementedError):  # a file system without locks
        with holding(folder, blocks / "merge.holder"):
            yield
        return
    try:
        yield
    finally:
        lock.release(force=True)
