"""What a failed command says: one line, and the exit status that goes with it."""

import logging
import sys
import traceback

from databot.cli.logs import log_place
from databot.cli.status import FAILED, INTERRUPTED, MISUSED
from databot.cli.text import safe
from databot.types.errors import ConfigError, DatabotError, describe

logger = logging.getLogger("databot.cli")


def report(error: Exception, *, debug: bool) -> int:
    """Write the line (and with `debug` the stack) to stderr; gives the exit status.

    Raises `BrokenPipeError` when that is what failed: there is nobody to tell.
    """
    cause = root_cause(error)
    if isinstance(cause, BrokenPipeError):
        raise cause
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    return report_usage(cause) or report_failure(cause, debug=debug)


def root_cause(error: BaseException) -> BaseException:
    """Task groups wrap what happened in groups; a person wants the first thing databot raised on purpose."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [root_cause(item) for item in error.exceptions]
    meant = [leaf for leaf in leaves if isinstance(leaf, DatabotError)]
    return (meant or leaves)[0]


def report_usage(error: BaseException) -> int:
    """The command line itself was wrong, or the person broke off a question."""
    import typer

    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if not isinstance(error, typer.TyperException):
        return 0
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "databot"
    message = error.format_message().strip().rstrip(".")
    if message:  # without a command the help itself was shown
        say(f"{message} (see `{path} --help`)")
    return error.exit_code


def report_failure(error: BaseException, *, debug: bool) -> int:
    if isinstance(error, DatabotError):
        say(describe(error))
        return MISUSED if isinstance(error, ConfigError) else FAILED
    if logger.hasHandlers():  # without one, Python would print the stack
        logger.error("the command failed", exc_info=error)
    place = log_place()
    details = f"; the log has the details: {place}" if place else "; run it again with --debug"
    name = type(error).__name__
    say(f"something went wrong inside databot: {name}{'' if debug else details}")
    return FAILED


def say(line: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"databot: {safe(' '.join(line.split()))}\n")
