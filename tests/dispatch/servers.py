"""A Redis of a test's own: to be killed, frozen, wiped and filled."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from redis import Redis

PASSWORD = "p@ss/w:rd?#%"
START_S = 10.0


class RedisServer:
    """A `redis-server` process on a free port of the loopback, with a password and without a disk."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._folder = folder
        self._options: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"

    def encrypt(self, certificates: Path) -> None:
        """Speak TLS only, from the next start on."""
        files = {"cert": "good.crt", "key": "server.key", "ca-cert": "ca.crt"}
        self._options = ("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no")
        for option, name in files.items():
            self._options += (f"--tls-{option}-file", str(certificates / name))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = shutil.which("redis-server")
        if binary is None:
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing("redis-server is not installed (see .ci/servers.sh)")
        port = ("--bind", "127.0.0.1", "--requirepass", PASSWORD)
        kept = ("--save", "", "--appendonly", "no", "--dir", str(self._folder))
        self._process = subprocess.Popen(
            [binary, *port, *kept, *(self._options or ("--port", str(self.port)))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_S
        while not self.answers():
            assert time.monotonic() < end, "redis-server did not start"
            time.sleep(0.02)

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as s,
        ):
            if self._options:
                return True  # TLS: that it listens is enough
            s.sendall(b"PING\r\n")
            return bool(s.recv(64))
        return False

    def ask(self, *command: str | int) -> Any:  # noqa: ANN401 - any answer
        """A command of the test's own."""
        with Redis(host="127.0.0.1", port=self.port, password=PASSWORD) as client:
            return cast("Any", client).execute_command(*command)

    def kill(self) -> None:
        """As a crash: `kill -9`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(START_S)
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
