"""SIGINT and SIGTERM as a request to stop at the next good place; a second one stops at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether, and by which signal, the process was asked to stop.

    Attributes:
        event: set once it was asked.
        signal: the signal, or None.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal: int | None = None

    @property
    def exit_code(self) -> int:
        """What a process that a signal stopped returns: 130 or 143; 0 where none did."""
        return 0 if self.signal is None else 128 + self.signal

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal."""
        if self.event.is_set():
            raise KeyboardInterrupt
        self.signal = number
        self.event.set()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Takes the signals while the block lasts; outside of the main thread there are none to take."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in STOPPING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
