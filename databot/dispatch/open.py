"""Opens dispatch: the right engine for a URL.

Importing this is cheap; an engine's client is loaded when one is opened.
"""

from contextlib import AbstractAsyncContextManager, nullcontext
from types import ModuleType

from databot.dispatch.base import Dispatch
from databot.types.clock import Clock, Ids
from databot.types.errors import ConfigError, MissingExtra

MEMORY = "memory:"
REDIS = ("redis:", "rediss:")
POSTGRES = ("postgres:", "postgresql:", "postgresql+asyncpg:", "postgresql+psycopg:")


def open_dispatch(url: str, clock: Clock, ids: Ids) -> AbstractAsyncContextManager[Dispatch]:
    """Dispatch by `url`, open for the time of an `async with`. The engine need not answer yet.

    Raises:
        ConfigError: the URL names no engine of ours, now or when it is entered; `MissingExtra` when its client is not
            installed.
    """
    check_url(url)
    if url.startswith(REDIS):
        return open_redis(url, clock, ids)
    if url.startswith(POSTGRES):
        from databot.dispatch.procrastinate import open_procrastinate

        return open_procrastinate(url, clock, ids)
    from databot.dispatch.memory import MemoryDispatch

    return nullcontext(MemoryDispatch())


def complete(url: str, storage_url: str) -> str:
    """The URL to open: `postgres://` alone means the database of `storage.url`. Raises `ConfigError`."""
    if not url.startswith(POSTGRES):
        return url
    from databot.dispatch.procrastinate.address import complete as complete_postgres

    return complete_postgres(url, storage_url)


def check_url(url: str) -> None:
    """Refuse what `open_dispatch` cannot open whatever the machine is like; opens nothing. Raises `ConfigError`."""
    if url.startswith(REDIS):
        from databot.dispatch.redis.address import redis_address

        redis_address(url)
    elif url.startswith(POSTGRES):
        from databot.dispatch.procrastinate.address import address_of

        address_of(url)
    elif url.rstrip("/") != MEMORY:
        raise ConfigError(
            "dispatch.url names no engine databot can dispatch work with",
            hint="use memory://, redis://USER:PASSWORD@HOST:PORT/0 or postgres://USER:PASSWORD@HOST/DATABASE",
        )


async def probe(url: str, clock: Clock, ids: Ids) -> str:
    """Which engine answers at `url`, in one line; takes no part in the work of its replicas.

    Raises:
        ConfigError: as `open_dispatch`.
        DispatchUnavailable: it does not answer.
    """
    check_url(url)
    if url.startswith(REDIS):
        return await import_redis().probe_redis(url, clock)
    if url.startswith(POSTGRES):
        from databot.dispatch.procrastinate import probe_procrastinate

        return await probe_procrastinate(url, clock, ids)
    from databot.dispatch.memory import MemoryDispatch

    return await MemoryDispatch().check()


def open_redis(url: str, clock: Clock, ids: Ids) -> AbstractAsyncContextManager[Dispatch]:
    return import_redis().open_redis(url, clock, ids)


def import_redis() -> ModuleType:
    try:
        from databot.dispatch.redis import dispatch
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise MissingExtra("dispatch.url redis://", extra="redis") from error
    return dispatch
