"""Opens dispatch on PostgreSQL, and ends it: the only module that is imported before it is used."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from databot.dispatch.procrastinate.address import address_of
from databot.types.clock import Clock, Ids
from databot.types.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from databot.dispatch.procrastinate.dispatch import ProcrastinateDispatch
    from databot.dispatch.procrastinate.server import Server

END_TIMEOUTS_S = (3.0, *[0.5] * 8)


@asynccontextmanager
async def open_procrastinate(
    url: str, clock: Clock, ids: Ids
) -> "AsyncGenerator[ProcrastinateDispatch]":
    """Dispatch on the PostgreSQL database of the URL, for as long as the context lasts.

    A server that does not answer is waited for in the background: `check` says so meanwhile.

    Raises:
        MissingExtra: procrastinate or psycopg is not installed.
        ConfigError: the URL cannot be used, the login is refused, or the user may not make the schema.
    """
    address = address_of(url)
    make_dispatch, make_server = import_parts()
    from databot.dispatch.procrastinate.errors import OUTAGE, translate

    server = make_server(address)
    try:
        await server.check()
    except OUTAGE as error:
        told = translate(error, address)
        if isinstance(told, ConfigError):
            raise told from error
    dispatch = make_dispatch(server, clock, ids)
    async with running(dispatch):
        yield dispatch


async def probe_procrastinate(url: str, clock: Clock, ids: Ids) -> str:
    """`ProcrastinateDispatch.check` for somebody who is no replica.

    Raises `ConfigError`, `DispatchUnavailable`, `MissingExtra`.
    """
    address = address_of(url)
    make_dispatch, make_server = import_parts()
    return await make_dispatch(make_server(address), clock, ids).check()


def import_parts() -> "tuple[type[ProcrastinateDispatch], type[Server]]":
    """What needs the client to be installed. Raises `MissingExtra`."""
    try:
        from databot.dispatch.procrastinate.dispatch import ProcrastinateDispatch
        from databot.dispatch.procrastinate.server import Server
    except ImportError as error:
        if (error.name or "").startswith("databot"):
            raise
        raise MissingExtra("dispatch in PostgreSQL", extra="procrastinate") from error
    return ProcrastinateDispatch, Server


@asynccontextmanager
async def running(dispatch: "ProcrastinateDispatch") -> AsyncGenerator[None]:
    """Its parts run beside the block. An error of the block leaves it as it is, not in a group."""
    await dispatch.open()
    group = asyncio.TaskGroup()
    await group.__aenter__()
    tasks = [group.create_task(part) for part in dispatch.parts()]
    try:
        yield
    finally:
        answers = await end(tasks)
        await group.__aexit__(None, None, None)
        if answers:
            await dispatch.flush()
        await dispatch.close()


async def end(tasks: list[asyncio.Task[None]]) -> bool:
    """Cancel until they have ended; says whether once was enough.

    Where the server does not answer, procrastinate's worker waits for it on its way out, and more than once.
    """
    for timeout in END_TIMEOUTS_S:
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=timeout)
        tasks = list(left)
        if not tasks:
            return timeout == END_TIMEOUTS_S[0]
    return False
