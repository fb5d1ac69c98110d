"""The exit codes of the commands."""

EXPLAINED = 0
"""All is done."""

SOME_FAILED = 1
"""Some images could not be explained, or measured."""

CANNOT_RUN = 2
"""The command cannot run; it says why."""

BROKEN = 70
"""An error of the program."""

TRY_AGAIN = 75
"""Something else has to end or to be mended first (another process in the folder, a full disk, a server that is not
reached); the same command goes on then."""

READER_LEFT = 141
"""Nobody reads what is printed any more, as in `xaijax models | head -1`; the code of SIGPIPE."""

INTERRUPTED = 130
"""Interrupted; the same command goes on. A run that SIGTERM stopped ends with 143."""
