"""A databot whose tools and channel leave marks in a file, for stories in which it is killed.

Three tools, one of each effect, and a channel whose platform is the test: what was done, how often and under which key
stands in the marks, which outlive every process.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.types.chat import ToolCall
from tests.flows.daemon import Daemon, Event, running_gateway, write_config
from tests.plugins.site import Site

WAIT_S = 30
THOUGHT, DONE = "I think of it now.", "All three are done."
WHOLE = "\n\n".join([THOUGHT] * 3 + [DONE])
"""The reply of a turn: every word it said on the way."""
TOOLS = ("look", "keep", "send")
"""A read tool, an idempotent one and a plain one, in the order the model asks for them."""
PLUGIN = '''
import asyncio
import json
import os
from pathlib import Path

from pydantic import BaseModel

from databot import BaseChannel, BaseTool
from databot.channels.base import Capabilities
from databot.tools.base import Effect, ToolResult
from databot.types.messages import InboundMessage, Principal

MARKS = Path(os.environ["MARKS"])


def mark(**what):
    with MARKS.open("ab", buffering=0) as file:
        file.write(json.dumps(what).encode() + b"\\n")


class Arguments(BaseModel):
    name: str
    stop: str = ""


class Marking(BaseTool):
    description = "Leave a mark."
    Arguments = Arguments

    async def run(self, arguments, context):
        await self.stop("before", arguments)
        mark(tool=self.name, name=arguments.name, key=context.idempotency_key)
        await self.stop("after", arguments)
        return ToolResult(content=self.name + " is done")

    async def stop(self, where, arguments):
        if arguments.stop != where + " " + self.name:
            return
        what = MARKS.with_name("at_stops").read_text()
        if what == "die":
            os._exit(9)
        if what == "hang":
            mark(hangs=self.name, name=arguments.name)
            await asyncio.Event().wait()


class Look(Marking):
    name = "look"
    effect = Effect.READ


class Keep(Marking):
    name = "keep"
    effect = Effect.IDEMPOTENT


class Send(Marking):
    name = "send"
    effect = Effect.PLAIN


class Post(BaseChannel):
    """A line of JSON is a message; its answer is the turn, once the message is committed."""

    name = "post"

    def capabilities(self):
        return Capabilities(can_find=True)

    async def run(self, publish):
        async def serve(reader, writer):
            while line := await reader.readline():
                said = json.loads(line)
                message = InboundMessage(
                    channel="post",
                    chat_id=said["chat"],
                    sender_id="ann",
                    content=said["text"],
                    principal=Principal(id="ann"),
                    message_id=said["id"],
                )
                writer.write(json.dumps({"turn": await publish(message)}).encode() + b"\\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        mark(port=server.sockets[0].getsockname()[1], pid=os.getpid())
        async with server:
            await server.serve_forever()

    async def send(self, message, delivery_id):
        mark(delivery=delivery_id, chat=message.chat_id, turn=message.turn_id, content=message.content)
        return delivery_id

    async def find_sent(self, message, delivery_id):
        found = [json.loads(line) for line in MARKS.read_bytes().splitlines()]
        return delivery_id if any(item.get("delivery") == delivery_id for item in found) else None
'''


@dataclass(slots=True)
class Place:
    """A configuration with the marking tools, and the model that asks for them.

    `go POINT` as a message has the turn stop at that point as long as `holding` is on: `model 2` and `text 2` hold the
    third answer of the model before and behind its first words, `before send` and `after send` hang in a tool. `hold …`
    is held and then echoed; `count 50` is answered slowly, a number at a time.
    """

    folder: Path
    model: ModelServer
    holding: bool = True
    sections: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder / "site"), "MARKS": str(self.folder / "marks")}

    def at_stops(self, what: str) -> None:
        """What a tool does where the message says: `hang`, `die` with its process, or nothing."""
        (self.folder / "at_stops").write_text(what)

    def marks(self, **like: str) -> list[dict[str, Any]]:
        """The marks so far that have these values; `key=...` asks for the key only."""
        file = self.folder / "marks"
        if not file.exists():
            return []
        found = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        return [
            item
            for item in found
            if all(key in item and value in {"", item[key]} for key, value in like.items())
        ]

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait for marks of another process."""
        async with asyncio.timeout(WAIT_S):
            while not reached():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Daemon]:
        """The gateway, its channel listening."""
        async with running_gateway(self.config, **self.environment) as daemon:
            await self.until(lambda: self.listening(daemon))
            yield daemon

    def listening(self, daemon: Daemon) -> list[dict[str, Any]]:
        return [item for item in self.marks(port="") if item["pid"] == daemon.process.pid]

    async def post(self, daemon: Daemon, name: str, text: str, chat: str = "post") -> str:
        """The platform delivers a message; gives the turn, once it is acknowledged."""
        port = self.listening(daemon)[0]["port"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(WAIT_S):
            writer.write(orjson.dumps({"id": name, "chat": chat, "text": text}) + b"\n")
            answer = orjson.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return str(answer["turn"])

    def answer(self, body: Mapping[str, Any]) -> Say:
        """What the model says: the next of the three tools, then that they are done; anything else is echoed."""
        messages = body["messages"]
        asked = max(n for n, message in enumerate(messages) if message["role"] == "user")
        words = str(messages[asked]["content"]).split(" ", 1)
        if words[0] == "count":
            return Say(text=" ".join(map(str, range(int(words[1])))), drip_s=0.01)
        if words[0] != "go":
            hold = 0 if self.holding and words[0] == "hold" else None
            return Say(text=f"re: {messages[asked]['content']}", hold_after=hold)
        point = words[1]
        step = sum(message["role"] == "tool" for message in messages[asked:])
        hold = {f"model {step}": 0, f"text {step}": 3}.get(point) if self.holding else None
        if step == len(TOOLS):
            return Say(text=DONE, hold_after=hold)
        arguments = orjson.dumps({"name": point, "stop": point}).decode()
        call = ToolCall(id=f"c{step}", name=TOOLS[step], arguments=arguments)
        return Say(text=THOUGHT, calls=(call,), hold_after=hold)


@asynccontextmanager
async def durable_place(folder: Path, **sections: Any) -> AsyncGenerator[Place]:  # noqa: ANN401 - configuration values
    """The tools and the channel installed, the model running, the configuration written."""
    (folder / "site").mkdir()
    site = Site(folder / "site")
    tools = {"look": "Look", "keep": "Keep", "send": "Send"}
    site.install("marking-tools", "marking", PLUGIN, **tools)
    site.install("post-channel", "marking", PLUGIN, group="databot.channels", post="Post")
    async with ModelServer() as model:
        place = Place(folder, model)
        place.at_stops("hang")
        model.always(place.answer)
        write_config(
            folder,
            llm={"model": "openai/m", "api_base": model.url, "api_key": "k"},
            agents={"enabled": False},
            auth={"rate_limit": {"requests": 100_000, "per_s": 1}},
            channels={"post": {}},
            **sections,
        )
        yield place


async def told(daemon: Daemon, turn_id: str, after: str = "") -> list[Event]:
    """The events of a turn from there to its end."""
    query = f"?after={after}" if after else ""
    async with asyncio.timeout(WAIT_S):
        return [e async for e in daemon.events(f"/api/v1/turns/{turn_id}/events{query}")]


async def spoken(daemon: Daemon, session_id: str) -> list[tuple[str, str]]:
    """Who said what in a conversation, in order; tool calls and results left out."""
    status, body = await daemon.get(f"/api/v1/sessions/{session_id}")
    assert status == 200, body
    return [
        (message["role"], message["content"])
        for message in body["messages"]
        if message["role"] in {"user", "assistant"} and not message.get("tool_calls")
    ]
