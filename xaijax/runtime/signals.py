"""SIGINT and SIGTERM as a request to stop once the batches in flight are written; a second signal stops at once."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

from xaijax.runtime.progress import say

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether the process was requested to stop, and by which signal.

    Attributes:
        event: set once it was requested.
        signal: the signal, or None.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.event = threading.Event()
        self.signal: int | None = None
        self._as_json = as_json

    @property
    def exit_code(self) -> int:
        """The exit code of a process that a signal stopped, 130 or 143; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def request(self, number: int) -> None:
        """Takes a signal: the first asks, and the second ends the process, whose files stay whole."""
        if self.signal is not None:
            say("stopped at once; the same command goes on where it stopped.", as_json=self._as_json)
            os._exit(128 + number)
        self.signal = number
        say("stopping after the images in flight; press Ctrl-C again to stop at once.", as_json=self._as_json)
        self.event.set()


@contextlib.contextmanager
def stopped_by_signals(*, as_json: bool = False) -> Iterator[Stop]:
    """Takes the signals while the block lasts; outside the main thread, where Python forbids it, does nothing.

    A thread of its own takes them: the main one may be in a compiler, or wait for a server, where Python handles none.
    """
    stop = Stop(as_json=as_json)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while numbers := reader.recv(16):
            for number in numbers:
                if number in STOPPING:
                    stop.request(number)

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    woken = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda number, frame: None) for number in STOPPING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        writer.close()
        watcher.join()
        reader.close()
