"""A tool is tested as the model would call it: through a registry, with JSON."""

import pytest
from fiscal_year import FiscalYear

from databot import Principal, ToolContext, ToolError
from databot.tools.registry import ToolRegistry
from databot.types.chat import ToolCall
from databot.types.messages import ConversationKey

CONTEXT = ToolContext(
    conversation=ConversationKey(tenant_id="default", bot_id="default", session_id="s"),
    principal=Principal(id="ann"),
    turn_id="turn_1",
    call_id="call_1",
)


def call(arguments: str) -> ToolCall:
    return ToolCall(id="call_1", name="fiscal_year", arguments=arguments)


async def test_october_begins_the_next_fiscal_year() -> None:
    tools = ToolRegistry([FiscalYear()])
    assert (await tools.call(call('{"day": "2025-10-01"}'), CONTEXT)).content == "FY2026"
    assert (await tools.call(call('{"day": "2025-09-30"}'), CONTEXT)).content == "FY2025"


async def test_what_it_cannot_answer_is_told_to_the_model() -> None:
    with pytest.raises(ToolError, match="not recorded"):
        await ToolRegistry([FiscalYear()]).call(call('{"day": "1999-01-01"}'), CONTEXT)
