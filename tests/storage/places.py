"""A fresh place for a store in each database, and the shipped fakes in the shape of a store."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from databot.storage.open import Store
from databot.testing.clock import FakeClock
from databot.testing.memory_approvals import MemoryApprovals
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.memory_store import MemoryArtifactStore, MemoryKeyValue
from tests.storage.parts import Place

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.service)]
IMPLEMENTATIONS = ["memory", *DATABASES]


@asynccontextmanager
async def place_in(database: str, request: pytest.FixtureRequest) -> AsyncGenerator[Place]:
    folder: Path = request.getfixturevalue("tmp_path")
    if database == "sqlite":
        yield Place(url=f"sqlite+aiosqlite:///{folder}/databot.db", data_dir=folder)
        return
    async with postgres_schema(request.getfixturevalue("postgres_url")) as url:
        yield Place(url=url, data_dir=folder)


@asynccontextmanager
async def postgres_schema(server: str) -> AsyncGenerator[str]:
    """The URL of a schema of its own, dropped afterwards."""
    schema = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f"CREATE SCHEMA {schema}")
        scheme, _, rest = server.partition("://")
        yield f"{scheme}+asyncpg://{rest}?search_path={schema}"
        await admin.execute(f"DROP SCHEMA {schema} CASCADE")
    finally:
        await admin.close()


@asynccontextmanager
async def store_in(implementation: str, request: pytest.FixtureRequest) -> AsyncGenerator[Store]:
    async with clocked_store_in(implementation, request, FakeClock()) as store:
        yield store


@asynccontextmanager
async def clocked_store_in(
    implementation: str, request: pytest.FixtureRequest, clock: FakeClock
) -> AsyncGenerator[Store]:
    if implementation == "memory":
        yield fake_store(clock)
        return
    async with (
        place_in(implementation, request) as place,
        replace(place, clock=clock).open() as store,
    ):
        yield store


def fake_store(clock: FakeClock) -> Store:
    log = MemoryLog(clock)

    async def check() -> str:
        return "memory"

    return Store(
        inbox=log,
        claims=MemoryClaims(log),
        journal=log,
        sessions=log,
        artifacts=MemoryArtifactStore(),
        memory=MemoryKeyValue(),
        outbox=log.outbox,
        approvals=MemoryApprovals(log),
        check=check,
    )
