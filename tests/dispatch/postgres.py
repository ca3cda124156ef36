"""A PostgreSQL of a test's own: to be killed, frozen and started again. And places of its own in the shared one."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from psycopg import Connection

USER = "databot"
START_S = 30.0


def binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) or [shutil.which(name)]
    if found[-1] is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("PostgreSQL is not installed (see .ci/servers.sh)")
    return str(found[-1])


def schemas(connection: "Connection[tuple[Any, ...]]", beginning: str) -> list[str]:
    rows = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (beginning,)
    )
    return [name for (name,) in rows.fetchall()]


def drop_schemas(url: str, beginning: str) -> None:
    """Drop the schemas of a test, which carry the version of their tables in their names."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    with psycopg.connect(url, autocommit=True) as connection:
        for name in schemas(connection, beginning):
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)))


class PostgresServer:
    """A server process on a free port of the loopback, without a password; it refuses to run as root, so it does not."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._data = folder / "data"
        self._user = "postgres" if os.getuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        made = [binary("initdb"), "-D", str(self._data), "-A", "trust", "-U", USER, "--no-sync"]
        subprocess.run(made, check=True, user=self._user, cwd="/", stdout=subprocess.DEVNULL)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it takes logins."""
        ready = [binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        end = time.monotonic() + START_S
        while subprocess.run(ready, check=False).returncode:
            assert time.monotonic() < end, "PostgreSQL did not start"
            if self._process is None or self._process.poll() is not None:
                self._launch()  # again where a process of the one before had not gone yet
            time.sleep(0.05)

    def _launch(self) -> None:
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off")
        command = [binary("postgres"), "-D", str(self._data), "-p", str(self.port)]
        self._process = subprocess.Popen(
            [*command, *(part for option in options for part in ("-c", option))],
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """As a crash: `kill -9` of all its processes."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(START_S)
            self._process = None

    def freeze(self) -> None:
        """It takes what it is sent and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        """To it and its processes: each leads a group of its own, so they are named one by one."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        for one in (pid, *map(int, children.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)
