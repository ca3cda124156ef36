"""A PostgreSQL server of a test's own: to be stopped, made a standby, and starved."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SETTINGS = "-c shared_buffers=16MB -c max_connections=12 -c superuser_reserved_connections=0"


def find_binaries() -> Path | None:
    """The folder of initdb and pg_ctl."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server on 127.0.0.1, with its data in a folder."""

    binaries: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://databot@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        where = f"-p {self.port} -c listen_addresses=127.0.0.1"
        options = f"{where} -c unix_socket_directories={self.folder} {SETTINGS}"
        self._control("start", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-m", mode)

    def demote(self) -> None:
        """Start it again as a standby: it takes reads and refuses writes."""
        self.stop()
        self._run("touch", str(self.folder / "data" / "standby.signal"))
        self.start()

    def promote(self) -> None:
        """Make it the primary."""
        self._control("promote")

    def _control(self, *arguments: str) -> None:
        control = str(self.binaries / "pg_ctl")
        self._run(control, "-D", str(self.folder / "data"), "-w", "-t", "60", *arguments)

    def _run(self, *command: str) -> None:
        run_as_postgres(command)


def run_as_postgres(command: Sequence[str]) -> None:
    """PostgreSQL refuses to run as root."""
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run([*user, *command], check=True, stdout=subprocess.DEVNULL, timeout=90)


@contextmanager
def own_server(binaries: Path) -> Generator[Server]:
    """A fresh server, running; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="databot-postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(binaries=binaries, folder=folder, port=port)
    data = str(folder / "data")
    try:
        init = str(binaries / "initdb")
        run_as_postgres([init, "-D", data, "-A", "trust", "-U", "databot", "--no-sync"])
        server.start()
        yield server
        server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
