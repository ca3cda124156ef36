"""The machine under the daemon in trouble: no descriptors left, clocks that jump, a process that stands still, a disk
of another machine, Redis gone. The daemon stays up, says what is wrong, and nothing accepted is lost."""

import asyncio
import resource
import signal
import socket
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from tests.dispatch.servers import RedisServer
from tests.flows.daemon import Daemon, environment, running_gateway, start_databot, write_config
from tests.storage.places import postgres_schema

BOUND_S = 30.0
LEASE_S = 2
FILES = 64
STRANGE_MACHINE = '''
"""Makes this process believe in another wall clock, and in other mounts."""
import os, time
from datetime import timedelta
from pathlib import Path

clock, mounts = os.environ.get("TEST_CLOCK"), os.environ.get("TEST_MOUNTS")
if clock:
    from databot.types.clock import SystemClock
    now, seconds, nanoseconds = SystemClock.now, time.time, time.time_ns
    shift = lambda: float(Path(clock).read_text())
    SystemClock.now = lambda self: now(self) + timedelta(seconds=shift())
    time.time = lambda: seconds() + shift()
    time.time_ns = lambda: nanoseconds() + int(shift() * 1e9)
if mounts:
    from databot.storage.sqlite.files import file_system_of
    file_system_of.__defaults__ = (Path(mounts),)
'''
"""A `sitecustomize`: Python runs it before anything else."""


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        server.always(lambda body: Say(text=f"re: {body['messages'][-1]['content']}"))
        yield server


@pytest.fixture
def strange(tmp_path: Path) -> str:
    """Goes into PYTHONPATH."""
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(STRANGE_MACHINE, encoding="utf-8")
    return str(folder)


def config(folder: Path, model: ModelServer, **sections: Any) -> Path:  # noqa: ANN401 - configuration values
    parts: dict[str, Any] = {
        "llm": {"model": "openai/test-model", "api_base": model.url, "timeout_s": 20},
        "agents": {"enabled": False},
        "auth": {"rate_limit": {"requests": 100_000, "per_s": 1}},
        "dispatch": {"lease_s": LEASE_S},
    }
    return write_config(folder, **{**parts, **sections})


async def metric(daemon: Daemon, name: str) -> float:
    async with daemon.session.get(daemon.url + "/metrics") as answer:
        text = await answer.text()
    [line] = [line for line in text.splitlines() if line.startswith(f"databot_{name} ")]
    return float(line.split()[1])


async def said(daemon: Daemon, session_id: str) -> list[tuple[str, str]]:
    _, body = await daemon.get(f"/api/v1/sessions/{session_id}")
    return [(message["role"], message["content"]) for message in body["messages"]]


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not await true():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)


async def accepted(daemon: Daemon, message: str, session_id: str = "s") -> str:
    body = {"message": message, "session_id": session_id}
    status, told = await daemon.post("/api/v1/messages", body)
    assert status == 202, told
    return str(told["turn_id"])


async def ended(daemon: Daemon, turn_id: str) -> str:
    """How the turn ended."""
    last = ""
    async for event in daemon.events(f"/api/v1/turns/{turn_id}/events"):
        last = event.name
    return last


async def running_and_waiting(daemon: Daemon, model: ModelServer) -> list[str]:
    """A turn that runs, its model silent, and one that waits behind it."""
    model.script(Say(text="re: first", hold_after=0))
    turns = [await accepted(daemon, "first")]
    async with asyncio.timeout(BOUND_S):
        await model.until(active=1)
    return [*turns, await accepted(daemon, "second")]


IN_ORDER = [
    ("user", "first"),
    ("assistant", "re: first"),
    ("user", "second"),
    ("assistant", "re: second"),
    ("user", "third"),
    ("assistant", "re: third"),
]


async def answered_in_order(daemon: Daemon, model: ModelServer, turns: list[str]) -> None:
    """The turns end, the next message works, and nothing was done twice or by somebody else."""
    turns = [*turns, await accepted(daemon, "third")]
    model.release()
    assert [await ended(daemon, turn) for turn in turns] == ["turn_finished"] * 3
    assert await said(daemon, "s") == IN_ORDER
    assert len(model.requests) == 3
    assert await metric(daemon, "claims_lost_total") == 0
    assert await metric(daemon, "turns_resumed_total") == 0


# Clocks


async def test_a_wall_clock_that_jumps_an_hour_both_ways_changes_nothing(
    tmp_path: Path, model: ModelServer, strange: str
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    parts = {"PYTHONPATH": strange, "TEST_CLOCK": str(clock)}
    async with running_gateway(config(tmp_path, model), **parts) as daemon:
        turns = await running_and_waiting(daemon, model)
        found = await metric(daemon, "sweeper_found_total")
        for shift in ("3600", "-3600", "0"):
            clock.write_text(shift)
            assert await metric(daemon, "oldest_waiting_seconds") < 3_700
            assert (await daemon.ask("hello", session_id=f"at{shift}"))["reply"] == "re: hello"
            model.requests.pop()
            assert (await daemon.get("/readyz"))[0] == 200
        await answered_in_order(daemon, model, turns)
        assert await metric(daemon, "sweeper_found_total") == found
        assert await daemon.stop() == 0


# A process that stands still


async def test_a_daemon_that_stands_still_for_two_leases_goes_on_with_its_turns(
    tmp_path: Path, model: ModelServer
) -> None:
    async with running_gateway(config(tmp_path, model)) as daemon:
        turns = await running_and_waiting(daemon, model)
        daemon.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2 * LEASE_S + 0.5)  # this is the fault
        daemon.process.send_signal(signal.SIGCONT)
        await answered_in_order(daemon, model, turns)
        assert await daemon.stop() == 0


# Descriptors


def seconds_of(process_id: int) -> float:
    """The processor time a process has had."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def test_a_daemon_without_descriptors_stays_up_and_recovers(
    tmp_path: Path, model: ModelServer
) -> None:
    async with running_gateway(config(tmp_path, model)) as daemon:
        assert (await daemon.ask("before"))["reply"] == "re: before"
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        lines = len(daemon.banner)
        with ExitStack() as hoard:
            port = int(daemon.url.rpartition(":")[2])
            for _ in range(2 * FILES):
                hoard.enter_context(socket.create_connection(("127.0.0.1", port)))
            begun = seconds_of(daemon.process.pid)
            status, body = await daemon.post("/api/v1/chat", {"message": "x", "session_id": "f"})
            assert status == 200 or (status in {502, 503} and "type" in body["error"]), body
            assert (await daemon.get("/healthz"))[0] == 200
            await asyncio.sleep(1)  # what it does when nobody asks for anything
            assert seconds_of(daemon.process.pid) - begun < 0.8
            assert len(daemon.banner) - lines < 50
        async with aiohttp.ClientSession() as fresh:  # a new connection is taken again

            async def alive() -> bool:
                try:
                    async with fresh.get(daemon.url + "/readyz") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await until(alive)
        assert (await daemon.ask("after"))["reply"] == "re: after"
        assert [role for role, _ in await said(daemon, "s")] == ["user", "assistant"] * 2
        assert await daemon.stop() == 0
    assert not [line for line in daemon.banner if "Traceback" in line]


# The database


async def test_a_turn_that_ends_while_the_database_is_locked_ends_when_it_is_free(
    tmp_path: Path, model: ModelServer
) -> None:
    async with running_gateway(config(tmp_path, model)) as daemon:
        turns = await running_and_waiting(daemon, model)
        with closing(sqlite3.connect(tmp_path / "data" / "databot.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            model.release()
            status, body = await daemon.post("/api/v1/messages", {"message": "x"})
            assert (status, body["error"]["type"]) == (503, "storage_unavailable"), body
            assert "locked by another program" in body["error"]["message"]
            assert (await daemon.get("/healthz"))[0] == 200
        await answered_in_order(daemon, model, turns)
        assert await daemon.stop() == 0


# Disks of other machines


async def test_a_data_folder_on_a_network_file_system_is_refused_at_the_start(
    tmp_path: Path, model: ModelServer, strange: str
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/data {tmp_path} nfs4 rw 0 0\n")
    process = await start_databot(
        "gateway",
        "--config",
        str(config(tmp_path, model)),
        "--port",
        "0",
        env=environment(PYTHONPATH=strange, TEST_MOUNTS=str(mounts)),
    )
    async with asyncio.timeout(BOUND_S):
        _, err = await process.communicate()
    [line] = err.decode().splitlines()
    assert (process.returncode, "network file system (nfs4)" in line) == (2, True), line
    assert not (tmp_path / "data" / "databot.db").exists()


# Redis


@pytest.mark.service
async def test_a_daemon_whose_redis_comes_and_goes_stays_ready_and_answers(
    tmp_path: Path, model: ModelServer, postgres_url: str
) -> None:
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis")

    async def dispatch(daemon: Daemon) -> bool:
        status, body = await daemon.get("/readyz")
        [part] = [part for part in body["components"] if part["name"] == "dispatch"]
        assert (status, part["required"]) == (200, False), body
        return bool(part["ready"])

    async def away(daemon: Daemon) -> bool:
        return not await dispatch(daemon)

    async with postgres_schema(postgres_url) as url:
        sections = {"storage": {"url": url}, "dispatch": {"url": redis.url, "lease_s": LEASE_S}}
        file = config(tmp_path, model, **sections)
        try:
            async with running_gateway(file) as daemon:  # it is away at the start
                assert (await daemon.ask("one"))["reply"] == "re: one"
                await until(lambda: away(daemon))
                redis.start()
                await until(lambda: dispatch(daemon))
                assert (await daemon.ask("two"))["reply"] == "re: two"
                redis.ask("FLUSHALL")
                assert (await daemon.ask("three"))["reply"] == "re: three"
                redis.kill()
                assert (await daemon.ask("four"))["reply"] == "re: four"
                await until(lambda: away(daemon))
                assert await metric(daemon, "dispatch_outages_total") == 2
                assert await daemon.stop() == 0
        finally:
            redis.kill()
        told = [line for line in daemon.banner if "goes on without it" in line]
        assert len(told) == 2
        assert not [line for line in daemon.banner if "p%40ss" in line or "p@ss" in line]


# What the operator is told of a crash


@pytest.mark.service
async def test_a_turn_another_process_had_begun_is_counted_and_told_once(
    tmp_path: Path, model: ModelServer, postgres_url: str
) -> None:
    async with postgres_schema(postgres_url) as url:
        file = config(tmp_path, model, storage={"url": url})
        model.script(Say(text="lost", hold_after=0))
        async with running_gateway(file) as daemon:
            turn = await accepted(daemon, "go")
            async with asyncio.timeout(BOUND_S):
                await model.until(active=1)
            daemon.kill()
            await daemon.process.wait()
        model.release()
        async with running_gateway(file) as again:
            assert await ended(again, turn) == "turn_finished"
            assert await metric(again, "turns_resumed_total") == 1
            assert await metric(again, "dead_turns") == 0
            await again.stop()
        [taken] = [line for line in again.banner if "is taken up again, attempt 2" in line]
        [told] = [line for line in again.banner if f"{turn} ended:" in line]
        assert turn in taken
        assert " attempt=2" in told
