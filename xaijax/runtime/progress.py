"""Progress of a process on standard error: a bar on a terminal, a line a minute elsewhere, or JSON for machines."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from tqdm import tqdm

from xaijax.printable import printable


def say(sentence: str, *, as_json: bool = False) -> None:
    """Prints a sentence on standard error, for people or as JSON for machines."""
    text = json.dumps({"message": sentence}) if as_json else f"xaijax: {printable(sentence)}"
    print(text, file=sys.stderr, flush=True)


EVERY = 60.0
"""Seconds from one line of progress to the next, where there is no terminal."""

PATIENCE = 2.0
"""Seconds after which a person wonders what goes on."""


@contextlib.contextmanager
def saying_if_slow(sentence: str, *, as_json: bool = False) -> Iterator[None]:
    """Says a sentence once if the block takes longer than `PATIENCE`."""
    timer = threading.Timer(PATIENCE, say, (sentence,), {"as_json": as_json})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class ProgressReporter:
    """Counts images, and reports progress on standard error.

    Args:
        total: number of images to explain.
        as_json: whether to report in lines of JSON.

    Attributes:
        images: number of images searched so far.
        failed: number of images that could not be read.
        evaluations: forward passes of the images searched.
        done: number of images searched or failed.
    """

    def __init__(self, total: int, *, as_json: bool = False) -> None:
        self.images = 0
        self.failed = 0
        self.evaluations = 0
        self.done = 0
        self._total = total
        self._as_json = as_json
        self._start = time.perf_counter()
        is_shown = sys.stderr.isatty() and not as_json
        self._bar = tqdm(total=total, unit="image", disable=None if is_shown else True, file=sys.stderr)
        self._ended = threading.Event()
        self._lines = threading.Thread(target=self._say_now_and_then, name="progress", daemon=True)
        if not is_shown and not as_json:
            self._lines.start()

    def _say_now_and_then(self) -> None:
        while not self._ended.wait(EVERY):
            say(f"{self.done} of {self._total} images after {self.seconds / 60:.0f} min.")

    @property
    def seconds(self) -> float:
        """Seconds since the reporter was made."""
        return time.perf_counter() - self._start

    def add(self, *, searched: int, failed: int, evaluations: int) -> None:
        """Adds images that were searched or could not be read."""
        self.images += searched
        self.failed += failed
        self.evaluations += evaluations
        self.done += searched + failed
        rate = self.evaluations / self.seconds
        self._bar.set_postfix_str(f"{rate:.0f} evaluations/s", refresh=False)
        self._bar.update(searched + failed)
        if self._as_json:
            left = self._total - self.done
            report = {
                "done": self.done,
                "left": left,
                "images_per_s": round(self.images / self.seconds, 3),
                "evaluations_per_s": round(rate, 1),
                "seconds_left": round(left * self.seconds / self.done, 1),
            }
            print(json.dumps(report), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._lines.is_alive():
            self._lines.join()
        self._bar.close()
