"""How a process gets on while it runs: a progress line for people, or a line of JSON a batch for machines."""

import json
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm


def say(sentence: str, *, as_json: bool = False) -> None:
    """Says a sentence on standard error, for people or for machines."""
    print(json.dumps({"message": sentence}) if as_json else f"xaijax: {sentence}", file=sys.stderr, flush=True)


class ProgressReporter:
    """Counts what is done, and tells it on standard error.

    Attributes:
        images: searched so far.
        failed: that could not be read.
        evaluations: of the images searched.
        done: images searched, or failed.
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

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._start

    def add(self, *, searched: int, failed: int, evaluations: int) -> None:
        """Adds images that were searched, or could not be read."""
        self.images += searched
        self.failed += failed
        self.evaluations += evaluations
        self.done += searched + failed
        a_second = self.evaluations / self.seconds
        self._bar.set_postfix_str(f"{a_second:.0f} evaluations/s", refresh=False)
        self._bar.update(searched + failed)
        if self._as_json:
            left = self._total - self.done
            told = {
                "done": self.done,
                "left": left,
                "images_per_s": round(self.images / self.seconds, 3),
                "evaluations_per_s": round(a_second, 1),
                "seconds_left": round(left * self.seconds / self.done, 1),
            }
            print(json.dumps(told), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
