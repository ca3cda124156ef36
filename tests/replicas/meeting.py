"""Where the replicas of a test meet: a database of its own, a Redis of its own, a model of its own."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databot.testing.model_server import ModelServer
from tests.dispatch.servers import RedisServer
from tests.replicas.books import Books, open_books
from tests.replicas.fleet import LEASE_S, Fleet, Place, postgres_database, running_fleet
from tests.replicas.model import answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """The running replicas and what they share; `database` is what `books` were opened with."""

    fleet: Fleet
    books: Books
    database: str
    model: ModelServer


@asynccontextmanager
async def meeting(
    server: str, dispatch: str, folder: Path, *, lease_s: float = LEASE_S, record: bool = True
) -> AsyncGenerator[Meeting]:
    """Three replicas; their model answers as in `model`, unless told otherwise."""
    async with ModelServer(record=record) as model, postgres_database(server) as database:
        model.always(answer)
        place = Place(
            folder=folder,
            storage=database.replace("postgresql:", "postgresql+asyncpg:"),
            dispatch=dispatch,
            model=model.url,
            lease_s=lease_s,
        )
        async with running_fleet(place) as fleet, open_books(database) as books:
            yield Meeting(fleet=fleet, books=books, database=database, model=model)


@asynccontextmanager
async def alone(
    folder: Path, *, record: bool = True, more: Mapping[str, Any] | None = None
) -> AsyncGenerator[Meeting]:
    """One daemon on SQLite, with the same model."""
    async with ModelServer(record=record) as model:
        model.always(answer)
        file = folder / "databot.db"
        place = Place(
            folder=folder,
            storage=f"sqlite+aiosqlite:///{file}",
            dispatch="memory://",
            model=model.url,
            more=more or {},
        )
        async with running_fleet(place, size=1) as fleet, open_books(str(file)) as books:
            yield Meeting(fleet=fleet, books=books, database=str(file), model=model)


@asynccontextmanager
async def own_redis(folder: Path) -> AsyncGenerator[RedisServer]:
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
