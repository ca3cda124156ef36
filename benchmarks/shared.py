"""What replicas share: a schema of the PostgreSQL that DATABOT_TEST_POSTGRES_URL names, and a Redis of the benchmark's own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

START_S = 10.0


def can_share() -> bool:
    """Whether both are to be had here."""
    return bool(os.environ.get("DATABOT_TEST_POSTGRES_URL") and shutil.which("redis-server"))


@asynccontextmanager
async def own_schema(server: str) -> AsyncGenerator[str]:
    """The URL of a schema, dropped afterwards."""
    import asyncpg

    name = f"bench_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f"CREATE SCHEMA {name}")
        yield f"{server.replace('postgresql:', 'postgresql+asyncpg:')}?search_path={name}"
        await admin.execute(f"DROP SCHEMA {name} CASCADE")
    finally:
        await admin.close()


@contextmanager
def own_redis(folder: Path) -> Generator[str]:
    """The URL of a Redis that keeps nothing on the disk, ended afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        ["redis-server", *options, "--dir", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(START_S)


def wait_for(port: int) -> None:
    """Until somebody listens there. Raises `RuntimeError` when nobody does for ten seconds."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("redis-server did not start")
