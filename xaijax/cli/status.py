"""`xaijax status`: how far a run is, from its folder alone, while its processes work or after they died."""

import contextlib
import dataclasses
import time
from pathlib import Path

from xaijax.cli.exit_codes import EXPLAINED
from xaijax.cli.options import StatusOptions
from xaijax.runtime.layout import BLOCKS, RESULTS, RUN
from xaijax.runtime.output.heartbeat import living_writers
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.record import read_record
from xaijax.target_words import parse_top


def run(options: StatusOptions) -> int:
    """Prints how far it is."""
    print(read_progress(options.folder))
    return EXPLAINED


@dataclasses.dataclass(frozen=True)
class RunProgress:
    """How far a run is.

    Attributes:
        images: of the input, and those that earlier inputs had.
        explained: images with an explanation.
        failed: images with an error alone.
        images_per_s: of the processes that have ended, added up; NaN while there are none.
        idle_s: seconds since anything was written to a journal, or to `run.json`.
        is_finished: whether `results.jsonl` stands.
        is_worked_on: whether a process may be at work.
    """

    images: int
    explained: int
    failed: int
    images_per_s: float
    idle_s: float
    is_finished: bool
    is_worked_on: bool

    @property
    def left(self) -> int:
        """Images that no process has been through yet."""
        return self.images - self.explained - self.failed

    def __str__(self) -> str:
        """A sentence or two."""
        summary = f"{self.explained} of {self.images} images explained, {self.failed} failed, {self.left} left"
        if self.is_finished:
            return f"{summary}; finished, {self.images_per_s:.2f} images a second."
        if self.left == 0 and not self.is_worked_on:
            return f"{summary}; start the command once more, which puts the results together."
        return f"{summary}; the last was written {self.idle_s:.0f} s ago."


def read_progress(folder: Path) -> RunProgress:
    """Reads how far a run is.

    Raises:
        ValueError: the folder holds no run.
    """
    record = read_record(folder)
    images = record["images"] + record["unlisted"]
    journal = Journal(folder, rows_per_image=parse_top(record["settings"].get("target", "")) or 1)
    explained = sum(journal.is_explained(path) and journal.is_done(path) for path in journal.paths)
    failed = sum(not journal.is_explained(path) for path in journal.paths)
    blocks = list((folder / BLOCKS).glob("*.jsonl"))
    written = [(folder / RUN).stat().st_mtime]
    for file in blocks:
        with contextlib.suppress(FileNotFoundError):  # the run is being finished
            written.append(file.stat().st_mtime)
    rates = [process["images_per_s"] for process in record.get("processes", [record]) if "images_per_s" in process]
    return RunProgress(
        images=images,
        explained=explained,
        failed=failed,
        images_per_s=sum(rates) if rates else float("nan"),
        idle_s=time.time() - max(written),
        is_worked_on=bool(living_writers(folder)),
        is_finished=(folder / RESULTS).exists() and not blocks and explained + failed >= images,
    )
