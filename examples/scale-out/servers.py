"""Starts a PostgreSQL and a Redis of one's own, from the programs installed on this machine, for trying things out.

They listen on the loopback only, have passwords made up at the start, and keep their data in a folder of the caller's.
"""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

START_S = 60.0
STOP_S = 15.0
POSTGRES_FOLDERS = "/usr/lib/postgresql"


@asynccontextmanager
async def running_postgres(folder: Path) -> AsyncGenerator[str]:
    """The URL of a fresh server's database, until the block is left."""
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    password, port = secrets.token_hex(16), free_port()
    secret = make_folder(folder, user) / "password"
    secret.write_text(password)
    if user:
        shutil.chown(secret, user)
    made = await asyncio.create_subprocess_exec(
        postgres_program("initdb"),
        *("-D", str(folder / "data"), "-U", "databot", "-A", "scram-sha-256", "-E", "UTF8"),
        *("--locale=C", "--no-sync", f"--pwfile={secret}"),
        stdout=DEVNULL,
        user=user,
    )
    if await made.wait():
        raise SystemExit("initdb failed")
    process = await asyncio.create_subprocess_exec(
        postgres_program("postgres"),
        *("-D", str(folder / "data"), "-p", str(port), "-k", str(folder)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"),
        stderr=DEVNULL,
        stdout=DEVNULL,
        user=user,
        start_new_session=True,
    )
    try:
        url = f"postgresql+asyncpg://databot:{password}@127.0.0.1:{port}/postgres"
        await answering(process, "PostgreSQL", lambda: postgres_answers(url))
        yield url
    finally:
        await stop(process, signal.SIGINT)  # its "fast" way: open sessions are ended


@asynccontextmanager
async def running_redis(folder: Path) -> AsyncGenerator[str]:
    """The URL of a fresh server that keeps nothing on the disk, until the block is left."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed; give a --redis-url")
    make_folder(folder, None)
    password, port = secrets.token_hex(16), free_port()
    lines = ("bind 127.0.0.1", f"port {port}", f"dir {folder}", "appendonly no", 'save ""')
    process = await asyncio.create_subprocess_exec(
        program, "-", stdin=PIPE, stdout=DEVNULL, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write("\n".join([*lines, f"requirepass {password}", ""]).encode())
    process.stdin.close()
    try:
        await answering(process, "Redis", lambda: port_answers(port))
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        await stop(process, signal.SIGTERM)


def make_folder(folder: Path, user: str | None) -> Path:
    """A new folder that only its user can enter."""
    folder.mkdir(mode=0o700)
    if user:
        shutil.chown(folder, user)
    return folder


def postgres_program(name: str) -> str:
    """A program of PostgreSQL's server, of the newest version here."""
    newest = sorted(
        Path(POSTGRES_FOLDERS).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3])
    )
    found = str(newest[-1]) if newest else shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} of PostgreSQL is not installed; give a --database-url")
    return found


async def postgres_answers(url: str) -> bool:
    import asyncpg

    try:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=3)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def port_answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def answering(process: Process, name: str, asked: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a server answers."""
    async with asyncio.timeout(START_S):
        while not await asked():
            if process.returncode is not None:
                raise SystemExit(f"{name} ended with status {process.returncode}")
            await asyncio.sleep(0.1)


async def stop(process: Process, number: signal.Signals, seconds: float = STOP_S) -> None:
    """End a process the polite way, and the other way when it takes too long."""
    if process.returncode is not None:
        return
    process.send_signal(number)
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        sys.stderr.write(f"process {process.pid} did not end in {seconds:g} s\n")
        process.kill()
        await process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
