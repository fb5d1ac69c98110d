"""Work on the host in parallel to the device: reading ahead of it and writing behind it, in bounded memory."""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(function: Callable[[T], R], items: Iterable[T], *, workers: int, room: int) -> Generator[R]:
    """Yields `function` of every item in order, computed by threads ahead of the reader.

    Args:
        function: called in several threads at once; an exception is raised in place of the item's result.
        items: iterated in the reader's thread, as far as there is room.
        workers: number of threads.
        room: maximum number of results that are not read yet.
    """
    left = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool:
        try:
            waiting = deque(pool.submit(function, item) for item in itertools.islice(left, room))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in itertools.islice(left, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)


class WriteBehind:
    """Runs tasks in one thread, in order; adding a task waits while more than `room` tasks are pending.

    An exception of a task is raised by the next `do`, or at the end of the `with` block, and no later task is run.
    """

    def __init__(self, room: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="behind")
        self._waiting: deque[Future[None]] = deque()
        self._room = room
        self._failed = False

    def do(self, task: Callable[..., None], *arguments: Any) -> None:
        """Adds a task."""
        while len(self._waiting) > self._room:
            self._waiting.popleft().result()
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._unless_failed, task, *arguments))

    def _unless_failed(self, task: Callable[..., None], *arguments: Any) -> None:
        if self._failed:
            return
        try:
            task(*arguments)
        except BaseException:
            self._failed = True
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
