"""The command line: `xaijax demo`, `explain`, `warmup`, `evaluate`, `report`, `status`, `models`, `launch`.

Each command is a module of its name here, whose `run` takes the options and returns the exit code. It is imported when
it is chosen: those that do not compute do not wait for JAX.
"""

import errno
import importlib
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

import xaijax
from xaijax.cli.exit_codes import BROKEN, CANNOT_RUN, EXPLAINED, INTERRUPTED, READER_LEFT, TRY_AGAIN
from xaijax.cli.options import (
    DemoOptions,
    EvaluateOptions,
    ExplainOptions,
    LaunchOptions,
    ModelsOptions,
    ReportOptions,
    RunOptions,
    StatusOptions,
    WarmupOptions,
)
from xaijax.printable import printable

COMMANDS: dict[str, type] = {
    "demo": DemoOptions,
    "explain": ExplainOptions,
    "warmup": WarmupOptions,
    "evaluate": EvaluateOptions,
    "report": ReportOptions,
    "status": StatusOptions,
    "models": ModelsOptions,
    "launch": LaunchOptions,
}
"""The options of each command."""

PASSING = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ESTALE,
    errno.ENOMEM,
    errno.EBUSY,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
}
"""Errors of the system that are mended elsewhere."""

DESCRIPTION = "Explains image classifiers by evolving masks; `xaijax --version` prints the version."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code, see `xaijax.cli.exit_codes`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        print(f"xaijax {xaijax.__version__}")
        return EXPLAINED
    chosen = {next((argument for argument in arguments if argument in COMMANDS), None)}
    if any(argument.startswith("--tyro-") for argument in arguments):  # a shell's completion, of all options
        chosen |= COMMANDS.keys()
    commands = {
        name: _searching(name, options, arguments)
        if name in chosen and issubclass(options, RunOptions)
        else _plain(name, options)
        for name, options in COMMANDS.items()
    }
    try:
        return tyro.extras.subcommand_cli_from_dict(commands, prog="xaijax", description=DESCRIPTION, args=arguments)
    except ValueError as error:
        from xaijax.runtime.output.heartbeat import FolderInUseError

        print(f"xaijax: {printable(error)}", file=sys.stderr)
        return TRY_AGAIN if isinstance(error, FolderInUseError) or _passes(error) else CANNOT_RUN
    except OSError as error:
        if not _passes(error) or isinstance(error, BrokenPipeError):
            raise
        print(f"xaijax: {printable(error)}; mend that and run the same command again.", file=sys.stderr)
        return TRY_AGAIN
    except MemoryError:
        print("xaijax: there is too little memory; free some and run the same command again.", file=sys.stderr)
        return TRY_AGAIN
    except KeyboardInterrupt:
        print("xaijax: interrupted; the same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED


def _passes(error: BaseException | None) -> bool:
    """Whether an error comes from something that may be mended without changing the command."""
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError) or getattr(error, "errno", None) in PASSING:
            return True
        error = error.__cause__
    return False


def _plain(name: str, options_type: type) -> Callable[..., int]:
    """Returns a command that takes its options, as tyro wants it."""

    def command(options: Any) -> int:
        return _module_of(name).run(options)

    command.__annotations__["options"] = Annotated[options_type, tyro.conf.OmitArgPrefixes]
    command.__doc__ = options_type.__doc__
    return command


def _searching(name: str, options_type: type, arguments: Sequence[str]) -> Callable[..., int]:
    """Returns a command that takes the options of a method beside its own; the arguments say of which."""
    from xaijax.cli.method_options import method_options  # imports every method, and JAX

    again = (
        (shlex.join(["xaijax", *arguments]),) if options_type is ExplainOptions else ()
    )  # what goes on where it stopped

    def command(options: Any, search: Any) -> int:
        return _module_of(name).run(options, search.make(), *again)

    method = method_options(_method_name(arguments))
    command.__annotations__["options"] = Annotated[options_type, tyro.conf.OmitArgPrefixes]
    command.__annotations__["search"] = Annotated[method, tyro.conf.OmitArgPrefixes]
    command.__doc__ = options_type.__doc__
    return command


def _module_of(command: str) -> Any:
    return importlib.import_module(f"xaijax.cli.{command}")


def _method_name(arguments: Sequence[str]) -> str:
    for index, argument in enumerate(arguments):
        if argument.startswith("--method="):
            return argument.split("=", 1)[1]
        if argument == "--method" and index + 1 < len(arguments):
            return arguments[index + 1]
    return "elime"


def run_and_exit() -> None:
    """Runs the command of the process, and ends it with its exit code."""
    try:
        try:
            code = main()
        finally:
            sys.stdout.flush()  # where nobody reads any more, that shows here
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        code = READER_LEFT
    except Exception:
        traceback.print_exc()
        code = BROKEN
    sys.exit(code)
