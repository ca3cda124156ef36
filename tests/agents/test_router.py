"""Who answers: forced, by rule, by model, or the general one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from databot.agents.base import AgentEvent, AgentTurn, Answered, Route
from databot.agents.delegator import Delegator
from databot.agents.presets import CATALOG, GENERAL, PRESETS, QUALITY, SQL
from databot.agents.router import ModelRouter, RuleRouter
from databot.agents.specialist import Specialist
from databot.testing.clock import START
from databot.testing.scripted import ScriptedProvider
from databot.types.chat import ChatReply, Usage
from databot.types.errors import ProviderUnreachable
from databot.types.events import AgentSelected
from databot.types.messages import Turn
from tests.core.house import said

ACTIVE = (SQL, CATALOG, GENERAL)
TIE = "how many tables: describe them"


def turn_of(text: str, agent: str | None = None) -> AgentTurn:
    return AgentTurn(turn=Turn(id="t", message=said(text, agent=agent), started_at=START))


@pytest.mark.parametrize(
    ("question", "agent"),
    [
        ("how many orders were there yesterday?", "sql"),
        ("top 5 customers by revenue", "sql"),
        ("average order value per month", "sql"),
        ("plot signups per week", "sql"),
        ("SELECT 1", "sql"),
        ("what tables are there?", "catalog"),
        ("describe the invoices", "catalog"),
        ("list all the columns", "catalog"),
        ("hello", "general"),
        ("thanks!", "general"),
        ("what can you do?", "general"),
    ],
)
async def test_rules_choose_without_a_model(question: str, agent: str) -> None:
    provider = ScriptedProvider([])
    router = ModelRouter(RuleRouter(ACTIVE), ACTIVE, provider, "m")
    assert (await router.route(turn_of(question))).agent == agent
    assert provider.requests == []


async def test_a_forced_agent_wins_over_every_rule() -> None:
    route = await RuleRouter(ACTIVE).route(turn_of("how many orders?", agent="catalog"))
    assert route == Route(agent="catalog", reason="forced by the person")


async def test_a_tie_is_given_to_the_model() -> None:
    provider = ScriptedProvider(["`catalog`."])
    router = ModelRouter(RuleRouter(ACTIVE), ACTIVE, provider, "m")
    assert (await router.route(turn_of(TIE))).agent == "catalog"
    assert provider.requests[0].tools == ()


async def test_only_the_beginning_of_a_long_message_says_whose_it_is() -> None:
    pasted = "lorem ipsum " * 20_000
    router = RuleRouter(ACTIVE)
    assert (await router.route(turn_of(f"how many orders? {pasted}"))).agent == "sql"
    assert (await router.route(turn_of(f"{pasted} how many orders?"))).agent == "general"


async def test_what_the_choice_took_is_told_with_it_whether_it_was_of_use_or_not() -> None:
    cost = Usage(input_tokens=100, output_tokens=1, cost_usd=0.1)
    for said_name in ("catalog", "pirate"):
        provider = ScriptedProvider([ChatReply(text=said_name, usage=cost)])
        route = await ModelRouter(RuleRouter(ACTIVE), ACTIVE, provider, "m").route(turn_of(TIE))
        assert route.usage == cost


async def test_the_model_may_choose_a_name_with_capitals() -> None:
    finance = Specialist(
        name="Finance", description="money", prompt="", tools=frozenset(), marks=("money",)
    )
    active = (SQL, CATALOG, finance, GENERAL)
    provider = ScriptedProvider(["finance"])
    router = ModelRouter(RuleRouter(active), active, provider, "m")
    assert (await router.route(turn_of("describe the money"))).agent == "Finance"


@pytest.mark.parametrize("answer", ["pirate", "", ProviderUnreachable("down")])
async def test_a_model_that_does_not_choose_leaves_the_rules_choice(
    answer: str | ProviderUnreachable,
) -> None:
    router = ModelRouter(RuleRouter(ACTIVE), ACTIVE, ScriptedProvider([answer]), "m")
    assert (await router.route(turn_of(TIE))).agent == "sql"


def test_a_specialist_is_active_only_when_a_tool_it_needs_exists() -> None:
    tools = {"sql", "schema", "chart"}
    assert [s.name for s in PRESETS if s.is_active(tools)] == ["sql", "catalog", "general"]
    assert [s.name for s in PRESETS if s.is_active(set())] == ["general"]
    assert QUALITY.is_active({"quality"})


def test_a_scope_holds_only_what_exists() -> None:
    assert SQL.scope({"sql", "shell"}) == {"sql"}
    assert GENERAL.scope({"sql", "shell"}) == {"sql", "shell"}


class Named:
    """An agent that answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        del turn
        yield Answered(text=self.name, finish_reason="completed", usage=Usage())


async def answered_by(delegator: Delegator, question: AgentTurn) -> tuple[str, str]:
    async with asyncio.timeout(5):
        events = [event async for event in delegator.respond(question)]
    selected, answer = events
    assert isinstance(selected, AgentSelected)
    assert isinstance(answer, Answered)
    return selected.agent, answer.text


async def test_the_delegator_says_who_was_chosen_and_hands_over() -> None:
    agents = {name: Named(name) for name in ("sql", "catalog", "general")}
    delegator = Delegator(RuleRouter(ACTIVE), agents, fallback="general")
    assert await answered_by(delegator, turn_of("how many orders?")) == ("sql", "sql")
    assert await answered_by(delegator, turn_of("x", agent="gone")) == ("general", "general")
