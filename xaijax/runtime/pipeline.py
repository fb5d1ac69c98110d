"""The loop over the images of a run: read ahead of the device, explained on it, and written behind it."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax

from xaijax.runtime.executor import ExplainedBatch, Program
from xaijax.runtime.input.reader import Item, read_item
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job, Request
from xaijax.runtime.output.in_flight import SET_ASIDE, InFlight
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.result_lines import Row
from xaijax.runtime.output.writer import failure_line, write_items
from xaijax.runtime.partition import Partition
from xaijax.runtime.prefetch import WriteBehind, prefetch
from xaijax.runtime.progress import ProgressReporter

READERS = 4
"""Threads that read images; Pillow releases Python's lock while it decodes and resizes."""


@contextlib.contextmanager
def fitting(job: Job) -> Iterator[None]:
    """Turns an out-of-memory error of a device into a ValueError with a remedy.

    The remedy is never another micro-batch, as results depend on it.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        size, devices = job.batch_size, len(jax.local_devices())
        remedy = (
            f"the same command with --batch-size {size // 2} resumes." if size > devices else "take a smaller model."
        )
        raise ValueError(
            f"{size} images at a time do not fit into the memory of {devices} device(s); {remedy}"
        ) from error


def explain_all(
    left: Sequence[tuple[int, Source]],
    targets: Mapping[str, int],
    explain: Program[Item],
    job: Job,
    out: Path,
    journal: Journal,
    *,
    partition: Partition,
    notes: Path,
    stop: threading.Event,
    reporter: ProgressReporter,
) -> None:
    """Explains numbered images until there are none left, or `stop` is set; reads and writes in parallel to the device.

    Args:
        left: images by their index in the input.
        targets: the class that each target among them names.
        explain: the compiled program of the job.
        job: what to explain and how.
        out: the folder of the run.
        journal: of the run; the lines of an image are added to its block.
        partition: defines the block of an image.
        notes: file that tells which images are being read; see `InFlight`.
        stop: once set, the batches in flight are finished and written, and no others are begun.
        reporter: counts the images.
    """

    def write_failure(item: Item) -> None:
        journal.add(partition.block_of(item.index), [failure_line(item, job.seed, item.error)])
        reporter.add(searched=0, failed=1, evaluations=0)

    def write(items: list[Item], explained: ExplainedBatch) -> None:
        rows = write_items(items, explained.slots, jax.device_get(explained.result), job, out, journal)
        by_block: dict[int, list[Row]] = {}
        for item, lines in zip(items, rows, strict=True):
            by_block.setdefault(partition.block_of(item.index), []).extend(lines)
        for block, lines in by_block.items():
            journal.add(block, lines)
        evaluations = sum(line.get("evaluations", 0) for lines in rows for line in lines)
        reporter.add(searched=len(items), failed=0, evaluations=evaluations)

    def read(numbered: tuple[int, Source]) -> Item:
        index, source = numbered
        if source.name in in_flight.set_aside:
            return Item(index, source, source.identify(by_content=False), error=SET_ASIDE)
        with in_flight.reading(source.name):
            return read_item(numbered, job.classifier, targets)

    in_flight = InFlight(notes, readers=READERS)
    ordered = sorted(left, key=lambda numbered: numbered[1].name in in_flight.suspects)
    with (
        in_flight,
        WriteBehind(1) as behind,
        contextlib.closing(prefetch(read, ordered, workers=READERS, room=2 * job.batch_size)) as items,
    ):

        def readable() -> Iterator[tuple[Item, Request]]:
            for item in items:
                if stop.is_set():
                    return
                if item.request is None:
                    behind.do(write_failure, item)
                else:
                    yield item, item.request

        for explained in explain(readable()):
            behind.do(write, *explained)
