"""Opens the store: the right database for a URL, its tables up to date, the contracts on top of it.

Importing this is cheap; SQLAlchemy and the drivers are loaded when a store is opened.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from databot.channels.base import Outbox
from databot.memory.base import KeyValueMemory
from databot.storage.base import ArtifactStore, Claims, Inbox, Journal, Sessions, Worker
from databot.tools.base import Approvals
from databot.types.clock import Clock, Ids
from databot.types.errors import ConfigError

if TYPE_CHECKING:
    from databot.storage.database import Database
    from databot.storage.figures import SqlFigures
    from databot.storage.postgres.address import Address
    from databot.storage.work import WorkStore

SQLITE = ("sqlite:", "sqlite+aiosqlite:")
POSTGRES = ("postgres:", "postgresql:", "postgresql+asyncpg:")

NO_VERSIONS: Mapping[str, str] = MappingProxyType({})


class HealthCheck(Protocol):
    """Asks the database whether it takes writes."""

    async def __call__(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """databot's own store, open. `check()` writes and says where the store is, or raises `StorageError`."""

    inbox: Inbox
    claims: Claims
    journal: Journal
    sessions: Sessions
    artifacts: ArtifactStore
    memory: KeyValueMemory
    outbox: Outbox
    approvals: Approvals
    check: HealthCheck
    work: "WorkStore | None" = None
    """What background work needs; `None` in a store that keeps no jobs."""
    figures: "SqlFigures | None" = None
    """What operators count; `None` in a store that is only made up."""


@asynccontextmanager
async def open_store(
    url: str,
    data_dir: Path,
    clock: Clock,
    ids: Ids,
    *,
    exclusive: bool = True,
    lease_s: float = 10.0,
    versions: Mapping[str, str] = NO_VERSIONS,
) -> AsyncGenerator[Store]:
    """The store at `url`, with artifacts under `data_dir`; closed at the end.

    `exclusive` makes this process the one daemon of an SQLite file. Commands that look, and a chat beside a running
    daemon, open it without. `lease_s` is for how long a worker that is not heard of counts as alive. `versions` are kept
    with each message accepted.

    Raises:
        ConfigError: the URL is no store of ours, another daemon owns the file, the file is not a database or newer than
            this databot, the server refuses the login; `MissingExtra` when its driver is not installed.
        StorageUnavailable: the server is unreachable, the disk is full, or the file is locked or read-only.
    """
    database = await open_database(url, exclusive=exclusive)
    try:
        # The one daemon of a file goes on with what it did before a restart; among many, each start is somebody new.
        alone = exclusive and url.startswith(SQLITE)
        worker = Worker(name="daemon" if alone else ids.new("worker"), ttl_s=lease_s)
        yield build_store(database, data_dir, clock, ids, worker, versions=versions)
    finally:
        await database.aclose()


def check_url(url: str) -> None:
    """Refuse what `open_store` cannot open whatever the machine is like; opens nothing. Raises `ConfigError`."""
    place_of(url)


async def open_database(url: str, *, exclusive: bool) -> "Database":
    place = place_of(url)
    if isinstance(place, Path):
        from databot.storage.sqlite.database import SqliteDatabase

        return await SqliteDatabase.open(place, exclusive=exclusive)
    from databot.storage.postgres.database import PostgresDatabase

    return await PostgresDatabase.open(place)


def place_of(url: str) -> "Path | Address":
    """The file or the server a URL names. Raises `ConfigError`."""
    if url.startswith(SQLITE):
        from databot.storage.sqlite.files import path_of

        return path_of(url)
    if url.startswith(POSTGRES):
        from databot.storage.postgres.address import address_of

        return address_of(url)
    raise ConfigError(
        "storage.url names no database databot can keep its own data in",
        hint="use sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE",
    )


def build_store(
    database: "Database",
    data_dir: Path,
    clock: Clock,
    ids: Ids,
    worker: Worker,
    *,
    versions: Mapping[str, str] = NO_VERSIONS,
) -> Store:
    from databot.storage.approvals import SqlApprovals
    from databot.storage.artifacts import FileArtifacts
    from databot.storage.claims import SqlClaims
    from databot.storage.figures import SqlFigures
    from databot.storage.health import DatabaseCheck
    from databot.storage.inbox import SqlInbox
    from databot.storage.journal import SqlJournal
    from databot.storage.memory import SqlMemory
    from databot.storage.outbox import SqlOutbox
    from databot.storage.sessions import SqlSessions
    from databot.storage.timed import TimedDatabase
    from databot.storage.turns import Begun
    from databot.storage.work import make_work_store

    begun = Begun()
    database = timed = TimedDatabase(database)
    artifacts = FileArtifacts(database, data_dir / "artifacts", clock, ids)
    return Store(
        inbox=SqlInbox(database, clock, begun, versions),
        claims=SqlClaims(database, clock, worker, begun),
        journal=SqlJournal(database, clock),
        sessions=SqlSessions(database, artifacts),
        artifacts=artifacts,
        memory=SqlMemory(database, clock),
        outbox=SqlOutbox(database, clock, lease_s=worker.ttl_s),
        approvals=SqlApprovals(database, clock),
        check=DatabaseCheck(database),
        work=make_work_store(database, data_dir, clock, ids, lease_s=worker.ttl_s),
        figures=SqlFigures(database, clock, timed.commits.read),
    )
