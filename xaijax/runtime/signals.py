"""SIGINT and SIGTERM as a request to stop once the batches in flight are written; a second signal stops at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether the process was requested to stop, and by which signal.

    Attributes:
        event: set once it was requested.
        signal: the signal, or None.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal: int | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of a process that a signal stopped, 130 or 143; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal."""
        if self.event.is_set():
            raise KeyboardInterrupt
        self.signal = number
        self.event.set()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Handles the signals while the block lasts; outside the main thread, where Python forbids it, does nothing."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.handle) for number in STOPPING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
