"""Tools for models without tool calling: spelled out, and read back from the text."""

from collections.abc import Callable

import pytest

from databot.providers.errors import ToolsUnsupported
from databot.providers.react import ReactProvider
from databot.providers.react_text import SpokenText, read_calls, spelled_out
from databot.testing.scripted import Answer, ScriptedProvider
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, TextChunk, ToolCall, ToolSpec

SQL = ToolSpec(name="sql", description="Run a query.", parameters={"type": "object"})
CALL = ToolCall(id="c1", name="sql", arguments='{"query": "select 1"}')
QUESTION = ChatRequest(
    model="m",
    messages=(
        ChatMessage(role="system", content="You are databot."),
        ChatMessage(role="user", content="How many?"),
    ),
    tools=(SQL,),
)
ASKING = 'Thought: I look.\nAction: sql\nArguments: {"query": "select 1"}\n'


def spoken(text: str, size: int) -> str:
    reader = SpokenText()
    parts = [reader.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join([*parts, reader.end()])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ASKING, "I look."),
        ("Final Answer: it is 42\nand action is needed\n", "it is 42\nand action is needed"),
        ("Answering: no\n\nActions speak louder.", "Answering: no\n\nActions speak louder."),
        ("**Action:** `sql`\n**Arguments:** {}", ""),
        ("Action Name: x", ""),
        ("Say this.\nObservation: made up\nFinal Answer: 3", "Say this."),
        ("", ""),
        ("Act", "Act"),
    ],
)
def test_what_is_shown_ends_before_the_first_action_however_it_is_cut(
    text: str, shown: str, size: int
) -> None:
    assert spoken(text, size) == shown


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (ASKING, [("sql", '{"query": "select 1"}')]),
        (
            'Action: sql\nArguments: {"a": {"b": "}"}}\nAction: schema\nArguments: {}',
            [("sql", '{"a": {"b": "}"}}'), ("schema", "{}")],
        ),
        ('Action: sql\nAction Input: {"q": "two\nlines"}', [("sql", '{"q": "two\nlines"}')]),
        ('**Action:** `sql`\n```json\n{"q": 1}\n```', [("sql", '{"q": 1}')]),
        ('Action: sql\nArguments: {"q": broken', [("sql", '{"q": broken')]),
        ("Action: now", [("now", "{}")]),
        ("Action: none", []),
        ("Observation: 3\nAction: sql", []),
        ("No tools needed, the action is over.", []),
    ],
)
def test_calls_are_read_from_the_ways_models_write_them(
    text: str, calls: list[tuple[str, str]]
) -> None:
    assert [(call.name, call.arguments) for call in read_calls(text)] == calls


def test_a_conversation_with_tools_is_told_in_plain_text() -> None:
    messages = (
        *QUESTION.messages,
        ChatMessage(role="assistant", content="I look.", tool_calls=(CALL, CALL)),
        ChatMessage(role="tool", content="1 row", tool_call_id="c1"),
        ChatMessage(role="tool", content="2 rows", tool_call_id="c1"),
    )
    asked = spelled_out(ChatRequest(model="m", messages=messages, tools=(SQL,)))
    assert asked.tools == ()
    assert [message.role for message in asked.messages] == ["system", "user", "assistant", "user"]
    system, _, answer, results = (message.content for message in asked.messages)
    assert system.startswith("You are databot.")
    assert "- sql: Run a query." in system
    assert answer.startswith(f"I look.\nAction: sql\nArguments: {CALL.arguments}")
    assert results == "Observation (sql): 1 row\n\nObservation (sql): 2 rows"


def test_without_a_system_message_the_rules_come_first() -> None:
    asked = spelled_out(ChatRequest(model="m", messages=QUESTION.messages[1:], tools=(SQL,)))
    assert [message.role for message in asked.messages] == ["system", "user"]


async def test_a_spelled_out_answer_is_a_stream_like_any_other() -> None:
    provider = ReactProvider(ScriptedProvider([ASKING]), mode="react")
    *texts, reply = [chunk async for chunk in provider.chat_stream(QUESTION)]
    assert isinstance(reply, ChatReply)
    assert "".join(c.text for c in texts if isinstance(c, TextChunk)) == reply.text == "I look."
    assert reply.finish_reason == "tool_calls"
    assert reply.tool_calls[0].arguments == CALL.arguments


def only_without_tools(text: str) -> Callable[[ChatRequest], Answer]:
    return lambda request: ToolsUnsupported("no tools", hint="react") if request.tools else text


@pytest.mark.parametrize("streamed", [True, False])
async def test_auto_spells_out_once_the_vendor_said_there_are_no_tools(streamed: bool) -> None:
    inner = ScriptedProvider(only_without_tools(ASKING))
    provider = ReactProvider(inner)
    for _ in range(2):
        if streamed:
            reply = [chunk async for chunk in provider.chat_stream(QUESTION)][-1]
        else:
            reply = await provider.chat(QUESTION)
        assert isinstance(reply, ChatReply)
        assert [call.name for call in reply.tool_calls] == ["sql"]
    assert [bool(request.tools) for request in inner.requests] == [True, False, False]


async def test_auto_leaves_a_model_with_tools_alone() -> None:
    inner = ScriptedProvider(["Action: sql is just text here."])
    assert (await ReactProvider(inner).chat(QUESTION)).text == "Action: sql is just text here."
    assert inner.requests == [QUESTION]


async def test_a_question_without_tools_goes_through_as_it_is() -> None:
    inner = ScriptedProvider(["Action: none of yours."])
    provider = ReactProvider(inner, mode="react")
    plain = ChatRequest(model="m", messages=QUESTION.messages)
    assert (await provider.chat(plain)).text == "Action: none of yours."
    assert inner.requests == [plain]


async def test_text_that_could_have_become_a_call_is_shown_at_the_end() -> None:
    provider = ReactProvider(ScriptedProvider(["It is done. Act"]), mode="react")
    *texts, reply = [chunk async for chunk in provider.chat_stream(QUESTION)]
    assert isinstance(reply, ChatReply)
    assert "".join(c.text for c in texts if isinstance(c, TextChunk)) == "It is done. Act"
    assert reply.text == "It is done. Act"


async def test_a_wrapper_warms_and_closes_what_it_wraps() -> None:
    done: list[str] = []

    class Inner(ScriptedProvider):
        def warm(self) -> None:
            done.append("warmed")

        async def aclose(self) -> None:
            done.append("closed")

    async with ReactProvider(Inner()) as provider:
        provider.warm()
    assert done == ["warmed", "closed"]


def test_results_that_another_message_follows_are_told_before_it() -> None:
    messages = (
        ChatMessage(role="tool", content="1 row", tool_call_id="gone"),
        ChatMessage(role="user", content="And now?"),
    )
    asked = spelled_out(ChatRequest(model="m", messages=messages, tools=(SQL,)))
    told = [message.content for message in asked.messages if message.role == "user"]
    assert told == ["Observation (tool): 1 row", "And now?"]


def test_arguments_that_are_no_object_are_handed_on_for_the_tool_to_refuse() -> None:
    (call,) = read_calls("Action: sql\nArguments: select 1")
    assert call.arguments == "select 1"
