"""Ctrl-C while an answer is on its way, and the keyboard kept quiet meanwhile."""

import asyncio
import signal
import sys
import termios
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress

from databot.cli.chat.talk import Talk
from databot.types.errors import DatabotError


class Interrupted(Exception):
    """Ctrl-C at the prompt, or a second one during an answer."""


async def interruptible(talk: Talk, work: Awaitable[None], on_stop: Callable[[], None]) -> bool:
    """Await `work`; Ctrl-C asks its turn to stop. Says whether that happened.

    Raises what `work` raises, and `Interrupted` on a second Ctrl-C, without waiting for the turn any longer.
    """
    pressed: asyncio.Queue[None] = asyncio.Queue()
    abandoned, failure = False, None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, pressed.put_nowait, None)
    try:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(watch(talk, pressed, on_stop))
            try:
                await work
            finally:
                watcher.cancel()
    except* Interrupted:
        abandoned = True
    except* DatabotError as errors:
        failure = errors.exceptions[0]
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    if abandoned:
        raise Interrupted
    if failure is not None:
        raise failure
    return talk.stopping


async def watch(talk: Talk, pressed: asyncio.Queue[None], on_stop: Callable[[], None]) -> None:
    await pressed.get()
    on_stop()
    await talk.cancel()
    await pressed.get()
    raise Interrupted


def forget_typed() -> None:
    """Drop what was typed ahead: it was not meant for what is asked next."""
    with suppress(termios.error):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


@contextmanager
def quiet_keyboard() -> Generator[None]:
    """Typing ahead is kept for the next prompt, which alone shows it. For a stdin that is a terminal."""
    descriptor = sys.stdin.fileno()
    saved = termios.tcgetattr(descriptor)
    quiet = [*saved[:3], saved[3] & ~termios.ECHO, *saved[4:]]
    termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, saved)
