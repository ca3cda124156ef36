"""The scale-out example as people start it: replicas behind a proxy without sticky sessions, and one of them killed."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.flows.daemon import environment
from tests.storage.places import postgres_schema

SCRIPT = Path(__file__).parents[2] / "examples" / "scale-out" / "run.py"
KEY = "a-key-for-the-scale-out-test"
START_S, WAIT_S = 100, 60


@dataclass(slots=True)
class ScaleOut:
    """The running script: its address, what it says, and a client with its key."""

    url: str
    process: asyncio.subprocess.Process
    client: aiohttp.ClientSession
    lines: list[str]
    replicas: dict[str, int] = field(default_factory=dict[str, int])

    async def ask(self, message: str, session_id: str) -> str:
        body = {"message": message, "session_id": session_id}
        async with self.client.post(f"{self.url}/api/v1/chat", json=body) as response:
            assert response.status == 200, await response.text()
            return str((await response.json())["reply"])

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(WAIT_S):
            return await self.process.wait()


@asynccontextmanager
async def running(*arguments: str) -> AsyncGenerator[ScaleOut]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), "--port", "0", "--key", KEY, *arguments),
        env=environment(DATABOT_LLM__MODEL="offline", DATABOT_RAG__ENABLED="false"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(START_S):
            while "databot is ready at " not in (lines[-1] if lines else ""):
                line = await process.stdout.readline()
                assert line, "it ended: " + "\n".join(lines)
                lines.append(line.decode().rstrip())
        url = lines[-1].partition("is ready at ")[2].split()[0]
        found = re.findall(r"^\[(\d)\] process (\d+) ", "\n".join(lines), re.MULTILINE)
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        async with aiohttp.ClientSession(headers={"X-API-Key": KEY}, timeout=timeout) as client:
            replicas = {name: int(number) for name, number in found}
            yield ScaleOut(url, process, client, lines, replicas)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)  # not SIGKILL: it has replicas of its own to stop
        async with asyncio.timeout(WAIT_S):
            await process.communicate()


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.service
async def test_three_replicas_answer_ten_questions_over_the_proxy_and_all_stop(
    postgres_url: str, redis_url: str
) -> None:
    async with (
        postgres_schema(postgres_url) as database,
        running("--database-url", database, "--redis-url", redis_url) as started,
    ):
        assert len(started.replicas) == 3
        for number in range(10):
            reply = await started.ask("how many customers are there?", f"s{number % 2}")
            assert "400" in reply
        async with started.client.get(f"{started.url}/api/v1/sessions/s0") as response:
            messages = (await response.json())["messages"]
        asked = [message for message in messages if message["role"] == "user"]
        assert len(asked) == 5
        assert await started.stop() == 0
        assert [n for n in started.replicas.values() if is_running(n)] == []


@pytest.mark.service
async def test_a_stream_and_a_socket_pass_through_and_a_killed_replica_is_not_missed(
    postgres_url: str, redis_url: str
) -> None:
    async with (
        postgres_schema(postgres_url) as database,
        running("--database-url", database, "--redis-url", redis_url) as started,
    ):
        os.kill(started.replicas["1"], signal.SIGKILL)
        for number in range(6):
            body = {
                "message": "top 5 products by revenue",
                "session_id": f"k{number}",
                "stream": True,
            }
            async with started.client.post(f"{started.url}/api/v1/chat", json=body) as response:
                assert response.status == 200, await response.text()
                text = await response.text()
            assert text.count("event: turn_finished") == 1
        async with started.client.ws_connect(f"{started.url}/api/v1/ws") as socket:
            await socket.send_json({"type": "message", "id": "m1", "message": "top 5 products"})
            names: list[str] = []
            while "turn_finished" not in names:
                frame = await socket.receive_json(timeout=WAIT_S)
                names.append(str(frame.get("event") or frame.get("type")))
        assert names[0] == "accepted"
        assert await started.stop() == 0
