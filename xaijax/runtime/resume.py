"""Finds the images of a run that are left to explain, once the earlier explanations are verified."""

from collections.abc import Sequence
from pathlib import Path

from xaijax.atomic_files import writing_to
from xaijax.runtime.input.sources import Source
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.output.verification import Discrepancies, verify
from xaijax.runtime.partition import Partition

Numbered = tuple[int, Source]
"""An image with its index in the input."""


def find_left(
    share: Sequence[Numbered], folder: RunFolder, journal: Journal, partition: Partition, *, retry_errors: bool
) -> tuple[list[Numbered], list[str]]:
    """Records the list of images, and marks those that are to be explained again, for all processes.

    Args:
        share: images of this process.
        folder: of the run.
        journal: of the run.
        partition: of this process.
        retry_errors: whether to explain images again that failed.

    Returns:
        The images left to explain, and messages about them.
    """
    with writing_to(folder.path):
        folder.take_list(journal)
        messages = _mark_again(share, journal, folder.path, partition, retry_errors=retry_errors)
    return [(index, source) for index, source in share if not journal.is_done(source.name)], messages


def _mark_again(
    share: Sequence[Numbered], journal: Journal, out: Path, partition: Partition, *, retry_errors: bool
) -> list[str]:
    """Marks the images that are to be explained again, for all processes, and returns messages about them."""
    discrepancies = _verify([source for _, source in share], journal, out)
    again = {*discrepancies.changed, *discrepancies.lost}
    by_block: dict[int, list[str]] = {}
    for index, source in share:
        if source.name in again or (retry_errors and journal.failed_lines(source.name)):
            by_block.setdefault(partition.block_of(index), []).append(source.name)
    for block, paths in by_block.items():
        journal.mark(block, paths)
    return [*journal.sentences(), *discrepancies.sentences()]


def _verify(sources: Sequence[Source], journal: Journal, out: Path) -> Discrepancies:
    """Verifies the images that are explained, and starts over where another process merges the journal meanwhile."""
    while True:
        try:
            return verify([source for source in sources if journal.is_done(source.name)], journal, out)
        except OSError:
            journal.scan()
