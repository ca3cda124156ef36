"""Facts are kept for one person of one tenant, within bounds, and can be read and deleted."""

import json
from dataclasses import replace

import pytest

from databot.tools.base import ToolContext
from databot.tools.memory import MAX_KEYS, ForgetTool, RecallTool, RememberTool
from databot.tools.registry import ToolRegistry
from databot.types.errors import InvalidToolArguments, ToolError
from databot.types.messages import Principal
from tests.tools.kit import CONTEXT, Bench, tool_call


@pytest.fixture
def tools() -> ToolRegistry:
    registry = ToolRegistry()
    kinds = {"remember": RememberTool, "recall": RecallTool, "forget": ForgetTool}
    assert registry.load_plugins(kinds, Bench([]).services) == {}
    return registry


async def use(
    tools: ToolRegistry, name: str, context: ToolContext = CONTEXT, **arguments: str
) -> str:
    result = await tools.call(tool_call(name, json.dumps(arguments)), context)
    return result.content


async def test_what_is_remembered_is_recalled_replaced_and_forgotten(tools: ToolRegistry) -> None:
    await use(tools, "remember", key="fiscal year", value="starts in April")
    await use(tools, "remember", key="fiscal year", value="starts in May")
    assert json.loads(await use(tools, "recall", key="fiscal year")) == {
        "facts": {"fiscal year": "starts in May"}
    }
    await use(tools, "forget", key="fiscal year")
    assert json.loads(await use(tools, "recall")) == {"facts": {}}


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, principal=Principal(id="bo", tenant_id="acme")),
        replace(CONTEXT, conversation=replace(CONTEXT.conversation, tenant_id="rival")),
    ],
)
async def test_nobody_else_sees_or_deletes_it(tools: ToolRegistry, other: ToolContext) -> None:
    await use(tools, "remember", key="pin", value="1234")
    assert json.loads(await use(tools, "recall", other)) == {"facts": {}}
    with pytest.raises(ToolError, match="nothing is remembered"):
        await use(tools, "forget", other, key="pin")
    assert "1234" in await use(tools, "recall")


async def test_an_unknown_key_is_told_with_the_known_ones(tools: ToolRegistry) -> None:
    await use(tools, "remember", key="team", value="data")
    for name in ("recall", "forget"):
        with pytest.raises(ToolError, match="the keys are: team"):
            await use(tools, name, key="tema")


async def test_there_is_an_end_to_how_much_is_kept(tools: ToolRegistry) -> None:
    for number in range(MAX_KEYS):
        await use(tools, "remember", key=f"fact {number}", value="x")
    with pytest.raises(ToolError, match="200 facts already"):
        await use(tools, "remember", key="one more", value="x")
    await use(tools, "remember", key="fact 7", value="changed")
    with pytest.raises(InvalidToolArguments, match="2000"):
        await use(tools, "remember", key="fact 7", value="x" * 2_001)


async def test_recalling_everything_is_bounded_and_says_what_is_left_out(
    tools: ToolRegistry,
) -> None:
    for number in range(20):
        await use(tools, "remember", key=f"fact {number:02}", value="x" * 2_000)
    told = await use(tools, "recall")
    assert len(told) < 18_000
    assert "left out: ask for this key" in told


@pytest.mark.parametrize("key", ["", " lead", "new\nline", "x" * 101, "nul\0"])
async def test_a_key_that_would_not_read_well_is_refused(tools: ToolRegistry, key: str) -> None:
    with pytest.raises(InvalidToolArguments):
        await use(tools, "remember", key=key, value="x")
