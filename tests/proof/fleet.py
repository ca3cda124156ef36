"""Runs many stories side by side, each in a place of its own: a folder, and a fresh database with its tables made."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import asyncpg
import orjson

from databot.storage.open import open_store
from databot.types.clock import RandomIds, SystemClock
from tests.proof.house import Order
from tests.proof.record import Line, read_record
from tests.proof.verdict import Report
from tests.storage.places import postgres_schema

KILLED = -9
WORKERS = 2
T = TypeVar("T")
R = TypeVar("R")


class Place(Protocol):
    """Where stories are played, one after another."""

    url: str

    def clear(self) -> None:
        """An empty database with its tables."""
        ...

    def let_leases_end(self) -> None:
        """Time passes: whoever died holds nothing any more."""
        ...


class SqlitePlace:
    """A file, copied from one whose tables were made once."""

    def __init__(self, folder: Path, number: int) -> None:
        self._blank = folder / "blank.db"
        self._file = folder / f"place{number}" / "databot.db"
        self.url = f"sqlite+aiosqlite:///{self._file}"
        if not self._blank.exists():
            asyncio.run(make_tables(f"sqlite+aiosqlite:///{self._blank}", folder))

    def clear(self) -> None:
        shutil.rmtree(self._file.parent, ignore_errors=True)
        self._file.parent.mkdir()
        shutil.copy(self._blank, self._file)

    def let_leases_end(self) -> None:
        """The daemon of a file knows its own conversations again; replies wait for their lease."""
        import sqlite3

        with sqlite3.connect(self._file, timeout=10) as connection:
            connection.execute("UPDATE outbox SET lease_until = 0")
        connection.close()


class PostgresPlace:
    """A schema."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._schema = url.rpartition("=")[2]
        self._server = url.replace("+asyncpg", "").rpartition("?")[0]
        asyncio.run(make_tables(url, Path(os.devnull).parent))

    def clear(self) -> None:
        self._run(
            *(
                f"DELETE FROM {table}"
                for table in ("conversation", "inbox", "journal", "outbox", "approval")
            )
        )

    def let_leases_end(self) -> None:
        self._run("UPDATE outbox SET lease_until = 0", "UPDATE conversation SET lease_until = 0")

    def _run(self, *statements: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(
                self._server, server_settings={"search_path": self._schema}
            )
            try:
                await connection.execute(";".join(statements))
            finally:
                await connection.close()

        asyncio.run(run())


async def make_tables(url: str, folder: Path) -> None:
    async with open_store(url, folder, SystemClock(), RandomIds()):
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is to go wrong, run by run: points to die at, or one statement that fails. A last run goes through."""

    deaths: tuple[str, ...] = ()
    fail_at: int = 0
    fault: str = ""
    speed: int = 1

    def __str__(self) -> str:
        if self.fault:
            return f"statement {self.fail_at} fails: {self.fault}"
        return "killed at " + " and at ".join(f"'{name}'" for name in self.deaths)


@dataclass(slots=True)
class Told:
    """How a story went: `deaths` that came about, what the world saw, and the report of the last run."""

    story: Story
    deaths: int = 0
    lines: list[Line] = field(default_factory=list[Line])
    report: Report | None = None
    log: str = ""

    @property
    def setbacks(self) -> int:
        return self.deaths + self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether the statement came by that was to fail."""
        return bool(self.report and self.report["struck"])


class Template:
    """The forking process, and the place its children work in."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._place = place
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.template"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._begin()
        self._run(Story(), 1, None)

    def tell(self, story: Story) -> Told:
        """Play the story from an empty database on."""
        self._begin()
        told = Told(story)
        for number, death in enumerate((*story.deaths, None), start=1):
            if number > 1:
                self._place.let_leases_end()
            if self._run(story, number, death) == KILLED:
                told.deaths += 1
                continue
            report = self._folder / f"report-{number}"
            told.report = orjson.loads(report.read_bytes()) if report.exists() else None
            told.log = (self._folder / f"log-{number}").read_text()
            break
        told.lines = read_record(self._folder / "record")
        return told

    def _begin(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._place.clear()

    def _run(self, story: Story, number: int, death: str | None) -> int:
        order = Order(
            url=self._place.url,
            folder=str(self._folder),
            run=number,
            die_at=death,
            fail_at=story.fail_at,
            fault=story.fault,
            speed=story.speed,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(orjson.dumps(asdict(order)) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return int(orjson.loads(answer))

    def close(self) -> None:
        self._process.communicate(timeout=60)


class Fleet:
    """Several templates, each busy with one story at a time."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self._free: SimpleQueue[Template] = SimpleQueue()
        for template in templates:
            self._free.put(template)
        self._size = len(templates)

    def tell(self, story: Story) -> Told:
        template = self._free.get()
        try:
            return template.tell(story)
        finally:
            self._free.put(template)

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """The work on every item, as many at once as there are templates; in order."""
        with ThreadPoolExecutor(self._size) as pool:
            return list(pool.map(work, items))

    def tell_all(self, stories: Sequence[Story]) -> list[Told]:
        return self.each(self.tell, stories)


@contextmanager
def fleet_on(database: str, server: str | None, folder: Path) -> Generator[Fleet]:
    """A fleet on SQLite, or on the PostgreSQL `server`."""
    with ExitStack() as stack:
        templates: list[Template] = []
        for number in range(WORKERS):
            place: Place
            if database == "sqlite":
                place = SqlitePlace(folder, number)
            else:
                assert server is not None
                place = PostgresPlace(stack.enter_context(schema_of(server)))
            template = Template(place, folder / f"run{number}")
            stack.callback(template.close)
            templates.append(template)
        yield Fleet(templates)


@contextmanager
def schema_of(server: str) -> Generator[str]:
    """A schema of its own, for those who are no coroutine."""
    with asyncio.Runner() as runner:
        opened = postgres_schema(server)
        url: Any = runner.run(opened.__aenter__())
        try:
            yield url
        finally:
            runner.run(opened.__aexit__(None, None, None))
