"""The actor of a run on Ray: it loads once, and explains one block after the other.

Nothing here imports Ray.
"""

import contextlib
import dataclasses
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from xaijax.atomic_files import writing_to
from xaijax.runtime.device.compilation_cache import keep_compiled
from xaijax.runtime.device.cpu_devices import use_all_cores
from xaijax.runtime.executor import compile_job
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.layout import BLOCKS, READING, RUN
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.record import check_settings, read_record
from xaijax.runtime.partition import Partition
from xaijax.runtime.pipeline import explain_all, fitting
from xaijax.runtime.progress import ProgressReporter
from xaijax.runtime.targets import targets_by_name

Blocks = Mapping[int, Sequence[tuple[int, Source]]]
"""Images by their index in the input, by the number of their block."""


@contextlib.contextmanager
def _naming_the_node() -> Iterator[None]:
    """Says on which node something cannot be read, written or explained."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{error} (on {platform.node()})") from error


@dataclasses.dataclass(kw_only=True, repr=False)  # Ray puts the text of an actor, all its images, into its errors
class Worker:
    """Explains blocks with one compiled program, and writes what any process of the run would write.

    Attributes:
        blocks: images to explain, by their index in the input, by the number of their block.
        make_job: reads the weights from their path, and describes what to explain and how.
        folder: where relative paths begin; every node sees the same paths.
        out: folder of the run.
        partition: tells the block of an image.
        cpus: cores that the worker may use; None is all of them.
        cache: whether compiled programs are kept in the user's cache folder of each node.
        profile: folder for a trace of each block by JAX's profiler.
    """

    blocks: Blocks
    make_job: Callable[[], Job]
    folder: Path
    out: Path
    partition: Partition
    cpus: int | None
    cache: bool
    profile: Path | None

    def __post_init__(self) -> None:
        self._stop = threading.Event()

    @_naming_the_node()
    def load(self) -> dict[str, Any]:
        """Loads and compiles, before the first block; returns what there is to say of the worker.

        Raises:
            ValueError: the node does not see the folders that the others see, cannot load the classifier, or loads and
                computes something else than `run.json` says; the message names what.
        """
        started = time.perf_counter()
        try:
            os.chdir(self.folder)
            (self.out / RUN).stat()
        except OSError as error:
            raise ValueError(
                f"{error.filename!r} cannot be seen ({error.strerror}); start the command in a folder, and name one "
                "for the results, that all nodes of the cluster share."
            ) from error
        use_all_cores(self.cpus)
        if self.cache:
            keep_compiled()
        job = self.make_job()
        versions = check_settings(
            self.out, read_record(self.out), job.settings, allow_version_change=job.allow_version_change
        )
        self._job = job = dataclasses.replace(job, versions=versions)
        self._journal = Journal(self.out, rows_per_image=job.rows_per_image)
        self._targets = targets_by_name([source for images in self.blocks.values() for _, source in images], job)
        with fitting(job):
            self._program = compile_job(job)
        return {
            "worker": f"{platform.node()}:{os.getpid()}",
            "devices": [str(device.device_kind) for device in jax.local_devices()],
            "compile_s": time.perf_counter() - started,
            "micro_batch": job.micro_batch,
            "batch_size": job.batch_size,
        }

    @_naming_the_node()
    def explain(self, block: int) -> dict[str, float]:
        """Explains the images of a block that its journal does not have; returns what has come of all of the block.

        Raises:
            ValueError: a batch does not fit into the memory of the devices, or the folder cannot be written.
        """
        journal = self._journal
        journal.scan_block(block)  # a worker that died may have begun it
        done = [source.name for _, source in self.blocks[block] if journal.is_done(source.name)]
        left = [(index, source) for index, source in self.blocks[block] if not journal.is_done(source.name)]
        trace = contextlib.nullcontext() if self.profile is None else jax.profiler.trace(str(self.profile))
        with ProgressReporter(len(left)) as reporter, writing_to(self.out), fitting(self._job), trace:
            explain_all(
                left,
                self._targets,
                self._program,
                self._job,
                self.out,
                journal,
                partition=self.partition,
                notes=self.out / BLOCKS / f"{block:06d}{READING}",
                stop=self._stop,
                reporter=reporter,
            )
        found = sum(journal.is_explained(name) for name in done)
        before = sum(line.get("evaluations", 0) for lines in journal.rows(done) for line in lines)
        return {
            "searched": found + reporter.images,
            "failed": len(done) - found + reporter.failed,
            "evaluations": before + reporter.evaluations,
            "explain_s": reporter.seconds,
        }

    def stop(self) -> None:
        """Has the block that is being explained end with the batches in flight; called beside `explain`."""
        self._stop.set()
