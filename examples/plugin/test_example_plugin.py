"""How a plugin author tests: the parts themselves, with the kit of `databot.testing`."""

import asyncio
from datetime import date
from pathlib import Path

import pytest
from databot_example_plugin.channel import LineChannel, LineConfig
from databot_example_plugin.connector import JsonLinesConfig, JsonLinesConnector
from databot_example_plugin.provider import EchoProvider
from databot_example_plugin.tool import BusinessDays, business_days

from databot.connectors.base import CallContext, HealthState
from databot.tools.base import ToolContext
from databot.tools.registry import ToolRegistry
from databot.types.chat import ChatMessage, ChatRequest, ToolCall
from databot.types.errors import ConnectorError, InvalidToolArguments, ToolError
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage, Principal

CONTEXT = ToolContext(
    conversation=ConversationKey(tenant_id="default", bot_id="default", session_id="s"),
    principal=Principal(id="ada"),
    turn_id="turn_1",
    call_id="call_1",
)


def call(arguments: str) -> ToolCall:
    return ToolCall(id="call_1", name="business_days", arguments=arguments)


async def test_the_tool_counts_from_monday_to_friday() -> None:
    tools = ToolRegistry([BusinessDays()])
    result = await tools.call(call('{"start": "2024-05-01", "end": "2024-05-31"}'), CONTEXT)
    assert result.figures == (23.0,)


def test_counting_whole_weeks_agrees_with_counting_days() -> None:
    start = date(2024, 1, 1)
    for length in range(1, 40):
        end = date.fromordinal(start.toordinal() + length - 1)
        days = (date.fromordinal(start.toordinal() + n) for n in range(length))
        assert business_days(start, end) == sum(day.weekday() < 5 for day in days)


async def test_the_tool_says_what_is_wrong_with_its_arguments() -> None:
    tools = ToolRegistry([BusinessDays()])
    with pytest.raises(InvalidToolArguments, match="'end' is required"):
        await tools.call(call('{"start": "2024-05-01"}'), CONTEXT)
    with pytest.raises(ToolError, match="before"):
        await tools.call(call('{"start": "2024-05-02", "end": "2024-05-01"}'), CONTEXT)


@pytest.fixture
def connector(tmp_path: Path) -> JsonLinesConnector:
    path = tmp_path / "events.jsonl"
    path.write_text('{"id": 1, "kind": "open"}\n{"id": 2, "user": "ada"}\n', encoding="utf-8")
    return JsonLinesConnector("events", JsonLinesConfig(type="jsonl", path=path))


async def test_the_connector_reads_fields_and_rows(connector: JsonLinesConnector) -> None:
    context = CallContext()
    assert await connector.execute("fields", {}, context) == ["id", "kind", "user"]
    told = await connector.execute("rows", {"limit": 1}, context)
    assert told == {"rows": [{"id": 1, "kind": "open"}], "truncated": True}
    assert (await connector.health()).state is HealthState.OK


async def test_the_connector_says_what_it_can_do_and_what_is_missing(
    connector: JsonLinesConnector,
) -> None:
    with pytest.raises(ConnectorError, match="fields, rows"):
        await connector.execute("drop", {}, CallContext())
    connector.config.path.unlink()
    with pytest.raises(ConnectorError) as caught:
        await connector.execute("rows", {}, CallContext())
    assert caught.value.kind == "not_found"
    assert (await connector.health()).state is HealthState.DOWN


async def test_the_provider_says_back_what_it_is_told() -> None:
    request = ChatRequest(
        model="echo", messages=(ChatMessage(role="user", content="good morning"),)
    )
    chunks = [chunk async for chunk in EchoProvider().chat_stream(request)]
    assert len(chunks) == 3
    assert (await EchoProvider().chat(request)).text == "good morning"


async def test_the_channel_hears_a_line_and_answers_on_the_same_connection() -> None:
    heard: asyncio.Queue[InboundMessage] = asyncio.Queue()

    async def publish(message: InboundMessage) -> str:
        heard.put_nowait(message)
        return "turn_1"

    channel = LineChannel(LineConfig(port=0))
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(channel.run(publish))
        reader, writer = await asyncio.open_connection("127.0.0.1", await channel.port)
        writer.write(b"how many orders?\n")
        message = await heard.get()
        await channel.send(
            OutboundMessage(
                channel="line",
                chat_id=message.chat_id,
                content="42",
                turn_id="turn_1",
                session_id=message.session_id,
            ),
            "turn_1:000",
        )
        assert (message.content, await reader.readline()) == ("how many orders?", b"42\n")
        writer.close()
        await writer.wait_closed()
        running.cancel()
