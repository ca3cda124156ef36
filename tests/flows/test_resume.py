"""A real turn killed at every point of its life: it goes on from its last row, and nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.flows.daemon import (
    Daemon,
    DiedAtStart,
    Event,
    environment,
    run_databot,
    running_gateway,
    start_databot,
)
from tests.flows.durable import DONE, TOOLS, WAIT_S, WHOLE, Place, durable_place, spoken, told

MODEL = [f"{where} {call}" for call in range(4) for where in ("model", "text")]
IN_TOOLS = [f"{where} {tool}" for tool in TOOLS for where in ("before", "after")]
POINTS = [*MODEL, *IN_TOOLS, "queued"]
ATTEMPTS = 5
CALLS = 4
"""How often the model is called in a turn that nothing happens to."""


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with durable_place(tmp_path) as opened:
        yield opened


class Reader:
    """Somebody who reads a turn until the line breaks, and what they have seen by then."""

    def __init__(self, daemon: Daemon, turn_id: str) -> None:
        self.turn_id = turn_id
        self.seen: list[Event] = []
        self._task = asyncio.ensure_future(self._read(daemon))

    async def _read(self, daemon: Daemon) -> None:
        try:
            async for event in daemon.events(f"/api/v1/turns/{self.turn_id}/events"):
                self.seen.append(event)
        except aiohttp.ClientError:
            pass

    async def gone(self) -> str:
        """The line is broken; gives the last number."""
        await asyncio.wait([self._task], timeout=WAIT_S)
        return self.seen[-1].id if self.seen else "0"


async def begun(place: Place, daemon: Daemon) -> dict[str, Reader]:
    """A conversation at each of the points, and one message behind a turn that runs."""
    readers: dict[str, Reader] = {}
    for point in POINTS:
        body = {"message": f"go {point}", "session_id": point.replace(" ", "-")}
        if point == "queued":
            body["session_id"] = MODEL[0].replace(" ", "-")
        status, accepted = await daemon.post("/api/v1/messages", body)
        assert status == 202, accepted
        readers[point] = Reader(daemon, accepted["turn_id"])
    async with asyncio.timeout(WAIT_S):
        await place.model.until(active=len(MODEL))
        await place.until(lambda: len(place.marks(hangs="")) == len(IN_TOOLS))
        while not all(  # noqa: ASYNC110 - readers tell nobody
            any(event.name == "text_delta" for event in readers[point].seen)
            for point in MODEL
            if point.startswith("text")
        ):
            await asyncio.sleep(0.02)
    return readers


def tool_told(place: Place, point: str) -> list[str]:
    """What the model was told of its calls, last."""
    bodies = [request.body["messages"] for request in place.model.requests]
    last = [body for body in bodies if any(m["content"] == f"go {point}" for m in body)][-1]
    asked = max(n for n, message in enumerate(last) if message["role"] == "user")
    return [str(m["content"]) for m in last[asked:] if m["role"] == "tool"]


async def test_a_turn_killed_at_any_point_goes_on_and_is_answered_once(
    place: Place, counted: Callable[[str], None]
) -> None:
    async with place.running() as daemon:
        readers = await begun(place, daemon)
        daemon.kill()
        last = {point: await reader.gone() for point, reader in readers.items()}
    place.holding = False
    place.at_stops("")
    lost = repeated = 0
    async with place.running() as daemon:
        for point, reader in readers.items():
            events = await told(daemon, reader.turn_id, last[point])
            check_stream(point, reader.seen, events)
            lost += events[-1].data.get("reply") != WHOLE
        for point in POINTS:
            session = point.replace(" ", "-")
            if point != "queued":
                assert (await spoken(daemon, session))[:2] == [
                    ("user", f"go {point}"),
                    ("assistant", WHOLE),
                ]
        first, behind = MODEL[0], "queued"  # in the order they came
        assert await spoken(daemon, first.replace(" ", "-")) == [
            *[("user", f"go {first}"), ("assistant", WHOLE)],
            *[("user", f"go {behind}"), ("assistant", WHOLE)],
        ]
    for point in POINTS:
        repeated += check_effects(place, point)
    assert (lost, repeated) == (0, 0)
    counted(f"{len(POINTS)} kill points of a real turn, {lost} lost, {repeated} repeated")


def check_stream(point: str, seen: list[Event], events: list[Event]) -> None:
    """A reader that comes back begins anew, reads all of it, and no number comes twice."""
    numbers = [int(event.id) for event in [*seen, *events] if event.id]
    assert numbers == sorted(set(numbers)), point
    assert events[-1].name == "turn_finished", (point, events[-1])
    if point != "queued":
        assert events[0].name == "turn_restarted", point
        text = "".join(event.data["text"] for event in events if event.name == "text_delta")
        assert text.endswith(DONE), point
    assert sum(event.name in {"turn_finished", "turn_failed"} for event in events) == 1


def check_effects(place: Place, point: str) -> int:
    """How often a tool did again what it must do once; the unknown outcome was told."""
    marks = {tool: place.marks(tool=tool, name=point) for tool in TOOLS}
    wanted = 0 if point == "before send" else 1
    assert len(marks["look"]) in {1, 2}, point
    assert len({mark["key"] for mark in marks["keep"]}) == 1, point
    unknown = [text for text in tool_told(place, point) if "outcome is unknown" in text]
    assert len(unknown) == (point in {"before send", "after send"}), (point, unknown)
    asked = [
        request
        for request in place.model.requests
        if f"go {point}" in [m["content"] for m in request.body["messages"]][-7:]
    ]
    assert point in {MODEL[0], "queued"} or len(asked) <= CALLS + 1, point
    return len(marks["send"]) - wanted


# A message that kills its worker


async def deaths(place: Place, turn_id: str) -> int:
    """Start the daemon until it lives to end the turn; says how often it died."""
    for count in range(2 * ATTEMPTS):
        try:
            async with running_gateway(place.config, **place.environment) as daemon:
                event = (await told(daemon, turn_id))[-1]
                assert (event.name, event.data["error"]["type"]) == ("turn_failed", "gave_up")
                return count
        except (aiohttp.ClientError, DiedAtStart):
            continue
    raise AssertionError("it dies for ever")


async def test_a_message_that_kills_its_worker_is_given_up_told_listed_and_tried_again(
    place: Place, counted: Callable[[str], None]
) -> None:
    place.at_stops("die")
    async with place.running() as daemon:
        beside = await place.post(daemon, "m0", "count 90", chat="innocent")
        turn_id = await place.post(daemon, "m1", "go before look")
        async with asyncio.timeout(WAIT_S):
            await daemon.process.wait()
    died = 1 + await deaths(place, turn_id)
    assert died == ATTEMPTS
    config = ("--config", str(place.config))
    async with place.running() as daemon:
        _, turn = await daemon.get(f"/api/v1/turns/{turn_id}")
        assert (turn["state"], turn["error"]["type"]) == ("failed", "gave_up")
        assert "stopped 5 times" in turn["error"]["message"]
        await place.until(lambda: place.marks(delivery="", chat="post"))
        [line] = place.marks(delivery="", chat="post")
        assert (line["chat"], line["turn"]) == ("post", turn_id)
        assert "stopped 5 times" in line["content"]
        assert await place.post(daemon, "m1", "go before look") == turn_id  # and stays given up
        # What ran beside it each time has not been given up for that.
        assert (await told(daemon, beside))[-1].name == "turn_finished"
        # The conversation is free for others meanwhile.
        await place.post(daemon, "m2", "hello")
        await place.until(lambda: len(place.marks(delivery="", chat="post")) == 2)

        status, out, err = await run_databot("jobs", "list", "--state", "dead", "--json", *config)
        assert status == 0, err
        [dead] = orjson.loads(out)
        assert (dead["id"], dead["kind"], dead["state"]) == (turn_id, "turn", "dead")
        assert "stopped 5 times" in dead["detail"]

        place.at_stops("")  # the tool is mended
        status, _, err = await run_databot("jobs", "retry", turn_id, *config)
        assert status == 0, err
        await place.until(lambda: len(place.marks(delivery="", chat="post")) == 3)
        assert place.marks(delivery="", chat="post")[-1]["content"] == WHOLE
        assert (await daemon.get(f"/api/v1/turns/{turn_id}"))[1]["state"] == "done"
        status, _, err = await run_databot("jobs", "retry", turn_id, *config)
        assert status == 1
        assert "Traceback" not in err
    assert [len(place.marks(tool=tool)) for tool in TOOLS] == [1, 1, 1]
    counted(f"a message that kills its worker: given up after {died} deaths, answered when mended")


# A terminal session beside the daemon


async def chat(place: Place, session_id: str, text: str) -> "asyncio.subprocess.Process":
    """`databot chat -m` on the same file."""
    arguments = ("-m", text, "--session", session_id, "--config", str(place.config))
    return await start_databot("chat", *arguments, env=environment(**place.environment))


async def printed(process: "asyncio.subprocess.Process") -> str:
    async with asyncio.timeout(WAIT_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().strip()


def asked(place: Place, text: str) -> int:
    """How often the model was asked this, as the last thing said."""
    last = [request.body["messages"][-1]["content"] for request in place.model.requests]
    return last.count(text)


async def until_spoken(daemon: Daemon, session_id: str, count: int) -> list[tuple[str, str]]:
    async with asyncio.timeout(WAIT_S):
        while len(found := await spoken(daemon, session_id)) < count:  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.05)
    return found


def pairs(*texts: str) -> list[tuple[str, str]]:
    return [pair for text in texts for pair in (("user", text), ("assistant", f"re: {text}"))]


@pytest.fixture
async def brisk(tmp_path: Path) -> AsyncIterator[Place]:
    async with durable_place(tmp_path, dispatch={"lease_s": 2}) as opened:
        yield opened


async def test_a_daemon_leaves_a_live_terminal_its_turn_and_goes_on_with_a_killed_ones(
    brisk: Place,
) -> None:
    live, killed = await chat(brisk, "live", "hold live"), await chat(brisk, "gone", "hold gone")
    async with asyncio.timeout(WAIT_S):
        await brisk.model.until(active=2)
    brisk.holding = False
    async with brisk.running() as daemon:
        killed.kill()
        await killed.communicate()
        # That the daemon found this one is the sign that it has looked for turns nobody works on.
        assert await until_spoken(daemon, "gone", 2) == pairs("hold gone")
        assert asked(brisk, "hold live") == 1
        brisk.model.release()
        assert await printed(live) == "re: hold live"
        assert await until_spoken(daemon, "live", 2) == pairs("hold live")
    assert (asked(brisk, "hold live"), asked(brisk, "hold gone")) == (1, 2)


async def test_a_terminal_and_the_daemon_in_one_conversation_keep_its_order(brisk: Place) -> None:
    async with brisk.running() as daemon:
        first = await chat(brisk, "both", "hold first")
        async with asyncio.timeout(WAIT_S):
            await brisk.model.until(active=1)
        brisk.holding = False
        body = {"message": "second", "session_id": "both"}
        _, second = await daemon.post("/api/v1/messages", body)
        third = await chat(brisk, "both", "third")
        reading = asyncio.ensure_future(told(daemon, second["turn_id"]))
        brisk.model.release()
        assert await printed(first) == "re: hold first"
        assert (await reading)[-1].data["reply"] == "re: second"
        assert await printed(third) == "re: third"
        assert await until_spoken(daemon, "both", 6) == pairs("hold first", "second", "third")
    assert len(brisk.model.requests) == 3
