"""More than a daemon can do at once: answered once or refused before it was accepted, in bounded memory, fair to others."""

import asyncio
import re
import resource
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from databot.testing.model_wire import Say
from tests.replicas.books import until_ended
from tests.replicas.fleet import NO_LIMIT
from tests.replicas.meeting import Meeting, alone

MESSAGES, CONVERSATIONS = 10_000, 500
AT_ONCE = 500
"""Connections of the flood."""
LOUD = 50
"""Each so many-th message is for the same conversation."""
MOST_MB = 250
STREAMS = 1_000
GIVEN, FILES = 1_024, 8_192
LIMIT_S = 150.0
TEXT = " ".join(f"word{number}" for number in range(12))
KEYS = {"flood": "the-key-of-the-flood", "other": "the-key-of-the-other"}
AMONG = 100
"""Of a backlog of a thousand, so many may go before somebody else's five: a tenth."""
Counted = Callable[[str], None]
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(autouse=True)
def files() -> Generator[None]:
    """As many open files as systems give: the daemon takes more by itself, and so do we, once it runs (`client`)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(GIVEN, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def client(house: Meeting, at_once: int) -> AsyncGenerator[aiohttp.ClientSession]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    connector = aiohttp.TCPConnector(limit=at_once)
    timeout = aiohttp.ClientTimeout(total=LIMIT_S)
    base = house.fleet.daemons[0].url
    async with aiohttp.ClientSession(base, connector=connector, timeout=timeout) as session:
        yield session


def megabytes(house: Meeting) -> tuple[float, float]:
    """The memory of the daemon: now, and the most it ever had."""
    pid = house.fleet.daemons[0].process.pid
    status = Path(f"/proc/{pid}/status").read_text()
    now, most = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
    assert now is not None
    assert most is not None
    return int(now[1]) / 1024, int(most[1]) / 1024


def conversation_of(number: int) -> str:
    """One conversation has far more than may wait in it."""
    return f"s{number % CONVERSATIONS}" if number % LOUD else "s0"


async def send(
    session: aiohttp.ClientSession, number: int, conversation: str, key: str | None = None
) -> tuple[int, str | None]:
    """The status, and what it says of coming again."""
    headers = {"Idempotency-Key": f"n{number}", **({"X-API-Key": key} if key else {})}
    body = {"message": f"n{number}", "session_id": conversation}
    async with session.post("/api/v1/messages", json=body, headers=headers) as response:
        await response.read()
        return response.status, response.headers.get("Retry-After")


async def test_ten_thousand_messages_at_once_are_answered_once_or_refused_before_they_are_accepted(
    tmp_path: Path, counted: Counted
) -> None:
    async with alone(tmp_path, record=False) as house:
        house.model.always(Say(text="OK"))
        before, _ = megabytes(house)
        async with client(house, AT_ONCE) as session:
            answers = await asyncio.gather(
                *(send(session, n, conversation_of(n)) for n in range(MESSAGES))
            )
        accepted = {f"n{n}" for n, (status, _) in enumerate(answers) if status == 202}
        refused = [retry for status, retry in answers if status == 429]
        await until_ended(house.books, len(accepted), LIMIT_S)
        rows = await house.books.select(
            "SELECT external_id, state, conversation_id, ended_at FROM inbox ORDER BY conversation_id, seq"
        )
        _, peak = megabytes(house)
    kept = Counter(str(row["external_id"]).rpartition(":")[2] for row in rows)
    disorder = sum(
        one["conversation_id"] == two["conversation_id"] and one["ended_at"] > two["ended_at"]
        for one, two in pairwise(rows)
    )
    counted(
        f"{MESSAGES} messages at once: {len(accepted)} accepted, {len(refused)} refused with Retry-After, "
        f"{len(accepted - kept.keys())} lost, {len(rows) - len(kept)} repeated, {disorder} out of order; "
        f"memory {before:.0f} MB before, {peak:.0f} MB at most"
    )
    assert refused
    assert len(accepted) + len(refused) == MESSAGES, Counter(status for status, _ in answers)
    assert all(retry is not None for retry in refused)
    assert kept == Counter(accepted)
    assert {row["state"] for row in rows} == {"done"}
    assert disorder == 0
    assert peak < before + MOST_MB


async def test_somebody_else_does_not_wait_behind_a_tenant_that_floods(
    tmp_path: Path, counted: Counted
) -> None:
    keys = [{"key": key, "name": name, "tenant": name} for name, key in KEYS.items()]
    auth = {**NO_LIMIT, "api_keys": keys}
    async with alone(tmp_path, record=False, more={"auth": auth}) as house:
        house.model.always(Say(text="OK so far", hold_after=2))
        async with client(house, AT_ONCE) as session:
            flood = (send(session, n, f"f{n}", KEYS["flood"]) for n in range(2 * STREAMS))
            assert {status for status, _ in await asyncio.gather(*flood)} == {202}
            async with asyncio.timeout(LIMIT_S):
                await house.model.until(active=STREAMS)  # every place is taken, and as many wait
            other = (send(session, n, f"o{n}", KEYS["other"]) for n in range(5))
            assert {status for status, _ in await asyncio.gather(*other)} == {202}
        house.model.release()
        await until_ended(house.books, 2 * STREAMS + 5, LIMIT_S)
        rows = await house.books.select("SELECT tenant_id, begun_at FROM inbox ORDER BY begun_at")
    order = [row["tenant_id"] for row in rows]
    places = [place for place, tenant in enumerate(order) if tenant == "other"]
    behind = [place - STREAMS for place in places]
    counted(
        f"behind a flood of {2 * STREAMS} the other's turns began at places {behind} of {STREAMS}"
    )
    assert behind[-1] < AMONG


async def test_a_thousand_conversations_are_streamed_at_once_and_no_word_is_dropped(
    tmp_path: Path, counted: Counted
) -> None:
    async with alone(tmp_path, record=False) as house:
        house.model.always(Say(text=TEXT, hold_after=4))
        begun = Counter[str]()
        all_begun = asyncio.Event()

        def heard(session_id: str) -> None:
            begun[session_id] += 1
            if len(begun) == STREAMS:
                all_begun.set()

        async with client(house, STREAMS) as session, asyncio.TaskGroup() as group:
            readers = [
                group.create_task(read(session, f"s{number}", heard)) for number in range(STREAMS)
            ]
            async with asyncio.timeout(LIMIT_S):
                await all_begun.wait()  # each has its first word, and none its last
            at_once = house.model.active
            house.model.release()
        _, peak = megabytes(house)
    whole = sum(task.result() == TEXT for task in readers)
    counted(
        f"{at_once} answers streamed at once, {STREAMS - whole} not whole; {peak:.0f} MB at most"
    )
    assert (at_once, whole) == (STREAMS, STREAMS)


async def read(
    session: aiohttp.ClientSession, session_id: str, heard: Callable[[str], None]
) -> str:
    """The words of one answer as they came; its stream ends well."""
    body = {"message": "Tell me.", "session_id": session_id, "stream": True}
    words: list[str] = []
    name = ""
    async with session.post("/api/v1/chat", json=body) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            kind, _, rest = line.decode().rstrip("\n").partition(": ")
            if kind == "event":
                name = rest
            elif kind == "data" and name == "text_delta":
                data: Mapping[str, Any] = orjson.loads(rest)
                words.append(data["text"])
                heard(session_id)
    assert name == "turn_finished"
    return "".join(words)
