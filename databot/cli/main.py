"""The entry point of the `databot` command, and its only error boundary.

`--version` is answered before anything heavy is imported. Whatever a command raises ends here as one line on stderr and
an exit status: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted. A stack is shown with `--debug` only.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from databot.cli.status import DEBUG_VARIABLE, DONE, INTERRUPTED, PIPE_CLOSED


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit status; without `argv` it is the process's own, and the process ends."""
    make_streams_safe()
    if argv is None:
        end_process(answer(sys.argv[1:]))
    return answer(list(argv))


def answer(arguments: list[str]) -> int:
    """Do what the arguments say; nobody reading the output any more is a status and not an error."""
    try:
        status = tell_version() if arguments in (["--version"], ["-V"]) else run(arguments)
    except BrokenPipeError:
        status = leave_pipe()
    return flush() or status


def tell_version() -> int:
    from databot.types.version import version

    sys.stdout.write(f"databot {version()}\n")
    return DONE


def end_process(status: int) -> NoReturn:
    """End without tearing the interpreter down.

    Everything is closed by now. What may still run is native code of an index that was being built, and the
    interpreter's end under it aborts the process.
    """
    if "logging" in sys.modules:
        sys.modules["logging"].shutdown()
    os._exit(status)


def make_streams_safe() -> None:
    """A character the terminal cannot show becomes `?` instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def take_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """`--debug` may stand anywhere before `--`; `DATABOT_DEBUG=1` says the same."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [item for item in arguments[:end] if item != "--debug"] + arguments[end:]
    return kept, len(kept) < len(arguments) or os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}


def run(arguments: list[str]) -> int:
    """Run a command and say what failed. Raises `BrokenPipeError` when nobody reads what it writes."""
    arguments, debug = take_debug(arguments)
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"  # the log of this command follows it to stderr
    try:
        from databot.cli.commands import run_command

        return run_command(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # boundary: command line
        from databot.cli.failure import report

        return report(error, debug=debug)


def flush() -> int:
    """Write out what is buffered now, so that a closed pipe is noticed here and not by the interpreter."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        return leave_pipe()
    return DONE


def leave_pipe() -> int:
    """The reader of our output has gone: say nothing, and keep the interpreter's last flush quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return PIPE_CLOSED
