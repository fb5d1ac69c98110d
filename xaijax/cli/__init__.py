"""The command line, one file per command."""

import os
import signal
import sys
from types import FrameType


def exit_with_code() -> None:
    """The console script."""
    # Python's own handler raises wherever the process is, and within an import that may end in an abort.
    signal.signal(signal.SIGINT, _leave)
    from xaijax.cli.main import run_and_exit

    run_and_exit()


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends a process that was interrupted; a run of `explain` handles signals itself, once there is work to finish."""
    print("xaijax: interrupted; start the same command again.", file=sys.stderr, flush=True)
    os._exit(128 + number)
