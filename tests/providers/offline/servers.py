"""The hospital on real servers: a loop in a thread runs their asynchronous clients for the plain `execute` of a world."""

import asyncio
import os
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncmy
import asyncpg

from tests.providers.offline.worlds import HOSPITAL_SCHEMA, World, hospital_rows, hospital_source

WAIT_S = 30.0
NAME = f"databot_offline_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
"""One a worker: they run side by side."""


class LoopThread:
    """An event loop of its own, in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the client gives
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


@contextmanager
def hospital_on_postgres(url: str) -> Generator[World]:
    """In a schema of its own, dropped afterwards."""
    loop, rows = LoopThread(), hospital_rows()
    connection = loop.run(asyncpg.connect(url))

    def execute(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        statement = loop.run(connection.prepare(sql))
        records = loop.run(statement.fetch())
        return [a.name for a in statement.get_attributes()], [tuple(r.values()) for r in records]

    try:
        loop.run(connection.execute(f"DROP SCHEMA IF EXISTS {NAME} CASCADE; CREATE SCHEMA {NAME}"))
        loop.run(connection.execute(f"SET search_path TO {NAME}"))
        for statement in HOSPITAL_SCHEMA:
            loop.run(connection.execute(statement))
        for name, content in rows.items():
            marks = ", ".join(f"${n}" for n, _ in enumerate(content[0], 1))
            values = [tuple(row.values()) for row in content]
            loop.run(connection.executemany(f"INSERT INTO {name} VALUES ({marks})", values))
        yield hospital_source("postgres", execute, rows)
    finally:
        loop.run(connection.execute(f"DROP SCHEMA IF EXISTS {NAME} CASCADE"))
        loop.run(connection.close())
        loop.close()


@contextmanager
def hospital_on_mysql(url: str) -> Generator[World]:
    """In a database of its own, dropped afterwards."""
    loop, rows = LoopThread(), hospital_rows()
    parts = urlsplit(url)
    connection = loop.run(
        connected(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=unquote(parts.password or ""),
        )
    )

    async def run(sql: str, values: object = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        async with connection.cursor() as cursor:
            await (cursor.executemany(sql, values) if values else cursor.execute(sql))
            names = [column[0] for column in cursor.description or ()]
            return names, [tuple(row) for row in await cursor.fetchall()] if names else []

    try:
        for sql in (f"DROP DATABASE IF EXISTS {NAME}", f"CREATE DATABASE {NAME}", f"USE {NAME}"):
            loop.run(run(sql))
        for statement in HOSPITAL_SCHEMA:
            loop.run(run(statement))
        for name, content in rows.items():
            marks = ", ".join("%s" for _ in content[0])
            values = [tuple(row.values()) for row in content]
            loop.run(run(f"INSERT INTO {name} VALUES ({marks})", values))
        yield hospital_source("mysql", lambda sql: loop.run(run(sql)), rows)
    finally:
        loop.run(run(f"DROP DATABASE IF EXISTS {NAME}"))
        loop.run(connection.ensure_closed())
        loop.close()


async def connected(**options: Any) -> Any:  # noqa: ANN401 - asyncmy has no types
    return await asyncmy.connect(autocommit=True, **options)
