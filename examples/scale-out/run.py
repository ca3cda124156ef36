"""Three replicas of databot behind a small proxy, on this machine and without containers.

    python examples/scale-out/run.py

starts a PostgreSQL and a Redis of its own unless it is given URLs, three `databot gateway` on free ports, and a proxy
without sticky sessions. It prints where to ask and with which key, and every replica's process number: kill one with
`kill -9` in the middle of an answer and watch another go on. Ctrl-C stops everything.
"""

import argparse
import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from os import environ
from pathlib import Path

from proxy import Proxy, serving
from servers import running_postgres, running_redis, stop

from databot.app.demo import prepare_demo
from databot.types.clock import SystemClock

CONFIG = Path(__file__).with_name("config.yaml")
READY = "is ready at "
PAUSE_S = 1.0


class DidNotStart(Exception):
    """A replica ended before it was ready: starting it again would not help."""


class Replica:
    """One `databot gateway` as a process, started again when it dies."""

    def __init__(self, name: str, environment: Mapping[str, str], proxy: Proxy) -> None:
        self._name = name
        self._environment = environment
        self._proxy = proxy
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Keep it running until cancelled; then let it finish what it does."""
        while True:
            status = await self._run_once()
            if not self.ready.is_set():
                raise DidNotStart(f"it ended with status {status}")
            say(f"[{self._name}] ended with status {status}; starting it again")
            await asyncio.sleep(PAUSE_S)

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "databot", "gateway", "--config", str(CONFIG), "--port", "0"),
            env=dict(self._environment),
            stdin=DEVNULL,
            stderr=PIPE,
            start_new_session=True,  # Ctrl-C is for us: we stop them in order
        )
        assert process.stderr is not None
        try:
            while line := (await process.stderr.readline()).decode(errors="replace").rstrip():
                if READY in line and self._name not in self._proxy.replicas:
                    self._proxy.replicas[self._name] = line.partition(READY)[2].split()[0]
                    await self._proxy.look()
                    self.ready.set()
                    say(f"[{self._name}] process {process.pid} {line.partition(' (')[0]}")
                elif not line.startswith("  "):
                    say(f"[{self._name}] {line}")
            return await process.wait()
        finally:
            self._proxy.replicas.pop(self._name, None)
            reading = asyncio.ensure_future(process.stderr.read())  # a full pipe would hold it up
            await asyncio.shield(stop_replica(process, reading))


async def stop_replica(
    process: asyncio.subprocess.Process, reading: "asyncio.Future[bytes]"
) -> None:
    await stop(process, signal.SIGTERM, seconds=35)  # 25 s for running turns, and some to close
    await reading


async def run(options: argparse.Namespace, folder: Path) -> None:
    """Start everything, wait for a signal, stop everything."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    key = options.key or secrets.token_hex(24)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        database = options.database_url or await enter(running_postgres(folder / "postgres"))
        redis = options.redis_url or await enter(running_redis(folder / "redis"))
        prepare_demo(folder / "demo", SystemClock().now().date(), lambda _: None)
        proxy, url = await enter(serving("127.0.0.1", options.port))
        environment = {
            **environ,
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "DATA_DIR": str(folder / "data"),
            "COMPANY": str(folder / "demo" / "company.db"),
            "API_KEY": key,
        }
        replicas = [Replica(str(n + 1), environment, proxy) for n in range(options.replicas)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(replica.run()) for replica in replicas]
                tasks.append(group.create_task(greet(replicas, url, key)))
                await stopping.wait()
                say("stopping")
                for task in tasks:
                    task.cancel()
        except* DidNotStart as errors:
            raise SystemExit(f"a replica did not start: {errors.exceptions[0]}") from None


async def greet(replicas: Sequence[Replica], url: str, key: str) -> None:
    for replica in replicas:
        await replica.ready.wait()
    announce(url, key)


def announce(url: str, key: str) -> None:
    say(f"databot is ready at {url} (key: {key})")
    say(f"  curl {url}/api/v1/chat -H 'X-API-Key: {key}' -H 'Content-Type: application/json' \\")
    say("""       -d '{"message": "top 5 products by revenue", "session_id": "s1"}'""")
    say(f"  chat page: {url}/chat/default")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run several replicas of databot on this machine.")
    parser.add_argument("--replicas", type=int, default=3, metavar="N")
    parser.add_argument("--port", type=int, default=18790, help="of the proxy; 0 takes a free one")
    parser.add_argument("--database-url", help="postgresql+asyncpg://…; else one is started")
    parser.add_argument("--redis-url", help="redis://…; else one is started")
    parser.add_argument("--key", help="the API key, of at least 16 characters; else one is made")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse(None)
    folder = Path(tempfile.mkdtemp(prefix="databot-scale-out-"))
    folder.chmod(0o711)  # PostgreSQL may be another user, and must reach its own folder
    try:
        asyncio.run(run(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
