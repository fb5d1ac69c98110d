"""The exit codes of the commands."""

EXPLAINED = 0
"""All is done."""

SOME_FAILED = 1
"""Some images could not be explained, or measured."""

CANNOT_RUN = 2
"""The command cannot run; it says why."""

BROKEN = 70
"""An error of the program."""

IN_USE = 75
"""Another process is at work in the folder, for those who may try again."""

INTERRUPTED = 130
"""Interrupted; the same command goes on. A run that SIGTERM stopped ends with 143."""
