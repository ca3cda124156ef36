"""Opens dispatch: the right engine for a URL.

Importing this is cheap; an engine's client is loaded when one is opened.
"""

from contextlib import AbstractAsyncContextManager, nullcontext

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
        from databot.dispatch.redis_address import redis_address

        redis_address(url)
    elif not url.startswith(POSTGRES) and url.rstrip("/") != MEMORY:
        raise ConfigError(
            "dispatch.url names no engine databot can dispatch work with",
            hint="use memory://, redis://USER:PASSWORD@HOST:PORT/0 or postgres://USER:PASSWORD@HOST/DATABASE",
        )


def open_redis(url: str, clock: Clock, ids: Ids) -> AbstractAsyncContextManager[Dispatch]:
    try:
        from databot.dispatch import redis
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise MissingExtra("dispatch.url redis://", extra="redis") from error
    return redis.open_redis(url, clock, ids)
