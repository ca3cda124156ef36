"""The registry lists tools, checks arguments, and turns every failure into a text the model can act on."""

import asyncio
import contextlib
import json
import logging
from typing import ClassVar, Self, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from databot.tools.arguments import parameters_of, parse_arguments
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult, ToolServices
from databot.tools.registry import ToolRegistry
from databot.types.errors import (
    ConfigError,
    ConnectorError,
    InvalidToolArguments,
    StorageUnavailable,
    ToolError,
    ToolNotFound,
    TurnCancelled,
)
from tests.tools.kit import CONTEXT, Bench, tool_call


class Inner(BaseModel):
    """A nested part."""

    title: str


class QueryArguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(description="What to ask.")
    title: str | None = None
    limit: int = 5
    parts: list[Inner] = []


class QueryTool(BaseTool):
    """Says what it was asked, or fails as told."""

    name = "query"
    description = "Ask."
    Arguments: ClassVar[type[BaseModel]] = QueryArguments
    effect = Effect.READ

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[QueryArguments] = []
        self._failure = failure

    async def run(self, arguments: QueryArguments, context: ToolContext) -> ToolResult:
        del context
        self.asked.append(arguments)
        if self._failure:
            raise self._failure
        return ToolResult(content=arguments.query)


class Named(QueryTool):
    """A tool under a name given later."""

    @classmethod
    def under(cls, name: str) -> "Named":
        tool = cls()
        tool.name = name  # pyright: ignore[reportAttributeAccessIssue] - a test of bad names
        return tool


async def test_a_call_runs_with_checked_arguments_and_defaults() -> None:
    tool = QueryTool()
    result = await ToolRegistry([tool]).call(tool_call("query", '{"query": "all"}'), CONTEXT)
    assert result.content == "all"
    assert tool.asked == [QueryArguments(query="all")]


async def test_an_unknown_tool_is_told_with_the_tools_there_are() -> None:
    with pytest.raises(ToolNotFound, match=r"'qery'.*query"):
        await ToolRegistry([QueryTool()]).call(tool_call("qery"), CONTEXT)


def test_tools_are_listed_in_the_order_they_were_added_with_their_schema() -> None:
    registry = ToolRegistry([Named.under("zebra"), Named.under("apple")])
    assert registry.names() == ("zebra", "apple")
    assert [spec.name for spec in registry.specs()] == ["zebra", "apple"]
    assert registry.effect("zebra") is Effect.READ
    assert registry.effect("nobody") is Effect.PLAIN
    assert registry.timeouts() == {"zebra": 60.0, "apple": 60.0}


@pytest.mark.parametrize("name", ["query", "has space", "", "x" * 65, "a.b"])
def test_a_name_that_is_taken_or_impossible_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        ToolRegistry([QueryTool(), Named.under(name)])


def test_the_schema_is_without_pydantics_titles_but_keeps_a_property_called_title() -> None:
    schema = parameters_of(QueryArguments)
    assert schema["properties"]["title"] == {"type": "string"}
    assert schema["properties"]["query"] == {"type": "string", "description": "What to ask."}
    assert schema["properties"]["limit"] == {"type": "integer", "default": 5}
    assert schema["required"] == ["query"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Inner"]["properties"] == {"title": {"type": "string"}}
    assert "title" not in schema


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ('{"query": ', "not valid JSON"),
        ("query=1", "not valid JSON"),
        ("[1]", "must be one JSON object, not list"),
        ("12", "must be one JSON object, not int"),
        ('"text"', "not valid JSON"),
        ("", "'query' is required"),
        ("null", "'query' is required"),
        ('{"query": 3}', "'query': Input should be a valid string, got 3"),
        ('{"query": "a", "limt": 3}', "'limt' is not a key of this tool (did you mean 'limit'?)"),
        ('{"query": "a", "limit": "many"}', "'limit': Input should be a valid integer"),
        ('{"query": "a", "parts": [{}]}', "'parts.0.title' is required"),
        ("[" * 100_000, "not valid JSON"),
        ('{"query": ' + "9" * 5_000 + "}", "not valid JSON"),
    ],
)
async def test_bad_arguments_say_which_key_what_was_expected_and_which_keys_there_are(
    raw: str, told: str
) -> None:
    tool = QueryTool()
    with pytest.raises(InvalidToolArguments) as caught:
        await ToolRegistry([tool]).call(tool_call("query", raw), CONTEXT)
    assert told in caught.value.message
    assert "query (string, required), title (string, optional)" in caught.value.message
    assert tool.asked == []


async def test_arguments_written_as_a_string_of_json_are_read() -> None:
    raw = json.dumps(json.dumps({"query": "all"}))
    result = await ToolRegistry([QueryTool()]).call(tool_call("query", raw), CONTEXT)
    assert result.content == "all"


@pytest.mark.parametrize("raw", ['{"query": ["' + "x" * 150_000 + '"]}', "x" * 300_000])
async def test_bad_arguments_are_never_said_back_at_length(raw: str) -> None:
    with pytest.raises(InvalidToolArguments) as caught:
        await ToolRegistry([QueryTool()]).call(tool_call("query", raw), CONTEXT)
    assert len(caught.value.message) < 2_000


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_raw_arguments_are_read_or_refused(raw: str) -> None:
    with contextlib.suppress(InvalidToolArguments):
        assert isinstance(parse_arguments(QueryArguments, raw), QueryArguments)


async def test_a_connectors_error_reaches_the_model_with_its_kind_and_hint() -> None:
    failure = ConnectorError(
        "no column named nme",
        kind="bad_request",
        connector="shop",
        hint="did you mean name",
    )
    with pytest.raises(ToolError) as caught:
        await ToolRegistry([QueryTool(failure)]).call(tool_call("query", '{"query":""}'), CONTEXT)
    told = caught.value.message
    assert told == "no column named nme (did you mean name) [connector 'shop', bad_request]"


async def test_a_passing_failure_says_that_it_may_work_later() -> None:
    failure = ConnectorError("no answer", kind="unavailable", retryable=True)
    with pytest.raises(ToolError, match="the same call may work later"):
        await ToolRegistry([QueryTool(failure)]).call(tool_call("query", '{"query":""}'), CONTEXT)


async def test_our_own_errors_reach_the_model_in_our_words() -> None:
    failure = StorageUnavailable("the disk is full", hint="free some space")
    with pytest.raises(ToolError, match=r"the disk is full \(free some space\)"):
        await ToolRegistry([QueryTool(failure)]).call(tool_call("query", '{"query":""}'), CONTEXT)


async def test_an_unforeseen_error_is_logged_and_its_text_is_kept_from_the_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = ToolRegistry([QueryTool(RuntimeError("password=hunter2"))])
    with caplog.at_level(logging.ERROR), pytest.raises(ToolError) as caught:
        await registry.call(tool_call("query", '{"query":""}'), CONTEXT)
    assert "hunter2" not in str(caught.value)
    assert "failed inside" in caught.value.message
    assert [record.exc_info is not None for record in caplog.records] == [True]


class Careless(QueryTool):
    """Returns what is no result."""

    async def run(self, arguments: QueryArguments, context: ToolContext) -> ToolResult:
        del context
        return cast("ToolResult", arguments.query)


async def test_a_tool_that_returns_no_result_has_failed_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ToolError, match="failed inside"):
        await ToolRegistry([Careless()]).call(tool_call("query", '{"query":"x"}'), CONTEXT)
    assert "must return a ToolResult, not str" in caplog.text


class Stopping(QueryTool):
    """Raises what would otherwise end the process, or look as if somebody had stopped the turn."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__()
        self.raised = raised

    async def run(self, arguments: QueryArguments, context: ToolContext) -> ToolResult:
        raise self.raised


@pytest.mark.parametrize("raised", [SystemExit(3), asyncio.CancelledError()])
async def test_a_tool_that_ends_the_process_or_cancels_itself_has_failed_inside(
    raised: BaseException,
) -> None:
    with pytest.raises(ToolError, match="failed inside"):
        await ToolRegistry([Stopping(raised)]).call(tool_call("query", '{"query":"x"}'), CONTEXT)


async def test_a_cancelled_turn_is_no_tool_error() -> None:
    with pytest.raises(TurnCancelled):
        await ToolRegistry([QueryTool(TurnCancelled())]).call(
            tool_call("query", '{"query":""}'), CONTEXT
        )


async def test_a_tool_that_tells_a_whole_story_is_cut_short() -> None:
    registry = ToolRegistry([QueryTool(ToolError("x" * 100_000))])
    with pytest.raises(ToolError) as caught:
        await registry.call(tool_call("query", '{"query":""}'), CONTEXT)
    assert len(caught.value.message) <= 2_000


class Configured(QueryTool):
    """Is built from its options."""

    @classmethod
    def create(cls, services: ToolServices) -> Self | None:
        if services.options.get("broken"):
            raise ValueError("no such option\nsecond line")
        return cls() if services.options.get("ready") else None


def test_tools_of_plugins_are_built_with_their_own_options_and_absent_ones_say_why(
    bench: Bench,
) -> None:
    registry = ToolRegistry()
    classes = {"ready": Configured, "idle": Configured, "bad": Configured, "twin": QueryTool}
    absent = registry.load_plugins(
        classes, bench.services, {"ready": {"ready": True}, "bad": {"broken": True}}
    )
    assert registry.names() == ("query",)
    assert absent == {
        "idle": "what it needs is not configured",
        "bad": "ValueError: no such option",
        "twin": "there are two tools named 'query'",
    }
