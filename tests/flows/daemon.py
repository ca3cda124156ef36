"""The real `databot gateway` as a process of its own, for tests that tell whole stories."""

import asyncio
import atexit
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
import yaml

START_S = 60
WAIT_S = 30
READY = b"is ready at "


def make_database(path: Path) -> None:
    """A small shop: 3 customers in 2 countries, 6 orders."""
    with sqlite3.connect(path) as db:
        db.executescript(
            """
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL);
            CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers(id),
                                 amount REAL NOT NULL, status TEXT NOT NULL);
            INSERT INTO customers VALUES (1,'Ann','Norway'),(2,'Bob','Norway'),(3,'Cleo','Peru');
            INSERT INTO orders VALUES (1,1,10,'paid'),(2,1,20,'paid'),(3,2,30,'open'),(4,3,40,'paid'),
                                      (5,3,50,'open'),(6,3,60,'paid');
            """
        )
    db.close()


def write_config(folder: Path, **sections: Any) -> Path:  # noqa: ANN401 - configuration values
    """A `config.yaml` over the small shop."""
    database = folder / "shop.db"
    if not database.exists():
        make_database(database)
    config: dict[str, Any] = {
        "data_dir": str(folder / "data"),
        "rag": {"enabled": False},
        "connectors": {"shop": {"type": "sql", "url": f"sqlite:///{database}"}},
        **sections,
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    id: str
    name: str
    data: dict[str, Any]


@dataclass(slots=True)
class Daemon:
    """A running gateway and a client for it."""

    url: str
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession
    banner: list[str]

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
        async with self.session.post(self.url + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.json()

    async def ask(self, message: str, session_id: str = "s") -> dict[str, Any]:
        status, body = await self.post(
            "/api/v1/chat", {"message": message, "session_id": session_id}
        )
        assert status == 200, body
        return body

    async def delete(self, path: str) -> int:
        async with self.session.delete(self.url + path) as response:
            return response.status

    async def events(
        self, path: str, body: object | None = None, **headers: str
    ) -> AsyncGenerator[Event]:
        method = "GET" if body is None else "POST"
        async with self.session.request(
            method, self.url + path, json=body, headers=headers
        ) as response:
            assert response.status == 200, await response.text()
            fields: dict[str, str] = {}
            async for raw in response.content:
                line = raw.decode().rstrip("\n")
                if line and not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    fields[key] = value
                elif not line and "event" in fields:
                    data = orjson.loads(fields["data"])
                    yield Event(fields.get("id", ""), fields["event"], data)
                    fields = {}

    def kill(self) -> None:
        """As if the power went."""
        self.process.kill()

    async def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            return await self.process.wait()


class DiedAtStart(AssertionError):
    """The process ended before it was ready."""


class Output:
    """Reads a process's stderr to its end, keeping the lines."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self.lines: list[str] = []

    async def until(self, mark: bytes) -> str:
        while line := await self._stream.readline():
            self.lines.append(line.decode().rstrip())
            if mark in line:
                return self.lines[-1]
        raise DiedAtStart("the gateway ended: " + "\n".join(self.lines))

    async def ready(self) -> str:
        """The line that says where it is."""
        try:
            async with asyncio.timeout(START_S):
                return await self.until(READY)
        except TimeoutError:
            told = "\n".join(self.lines)
            raise AssertionError(f"the gateway is not ready after {START_S} s: {told}") from None

    async def rest(self) -> Self:
        while line := await self._stream.readline():
            self.lines.append(line.decode().rstrip())
        return self


@cache
def bytecode() -> str:
    """Where daemons keep what they compiled, on a machine that keeps nothing: each start would take a core 2 s more."""
    folder = tempfile.mkdtemp(prefix="databot-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment(**extra: str) -> dict[str, str]:
    """The environment of a daemon: no key of the machine, no colour."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    kept = {k: v for k, v in kept.items() if not k.startswith("DATABOT_")}
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = bytecode()
    return {**kept, "NO_COLOR": "1", **extra}


async def start_databot(*arguments: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "databot",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
    )


@asynccontextmanager
async def running_gateway(config: Path, **env: str) -> AsyncGenerator[Daemon]:
    """`databot gateway` on a free port until the block is left; killed if it has not ended by then."""
    process = await start_databot(
        "gateway", "--config", str(config), "--port", "0", env=environment(**env)
    )
    assert process.stderr is not None
    output = Output(process.stderr)
    reader: asyncio.Future[Output] | None = None
    try:
        ready = await output.ready()
        url = ready.partition("is ready at ")[2].split()[0]
        reader = asyncio.ensure_future(output.rest())
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Daemon(url, process, session, output.lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reader is not None:
            await reader


async def run_databot(*arguments: str, **env: str) -> tuple[int, str, str]:
    """A command from start to end: exit status, stdout, stderr."""
    process = await start_databot(*arguments, env=environment(**env))
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()
