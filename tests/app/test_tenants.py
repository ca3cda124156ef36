"""A tenant is told of its own bots' parts and sees nothing of another's."""

from pathlib import Path
from typing import Any

import pytest

from databot.testing.running import running_databot
from databot.types.errors import NotFound, RequestError
from databot.types.messages import Principal
from tests.app.serving import served
from tests.flows.daemon import make_database

ACME, GLOBEX, OTHER = "A" * 20, "B" * 20, "C" * 20


@pytest.fixture
def two_tenants(tmp_path: Path) -> dict[str, Any]:
    """Each has a bot with a database of its own; acme's bot has one tool, globex' has all."""
    for name in ("acme", "globex"):
        make_database(tmp_path / f"{name}.db")
    return {
        "connectors": {
            name: {"type": "sql", "url": f"sqlite:///{tmp_path / name}.db"}
            for name in ("acme", "globex")
        },
        "bots": {
            "default": {"tenant": "acme", "connectors": ["acme"], "tools": ["schema"]},
            "g": {"tenant": "globex", "connectors": ["globex"]},
        },
        "auth": {
            "api_keys": [
                {"key": ACME, "tenant": "acme"},
                {"key": GLOBEX, "tenant": "globex"},
                {"key": OTHER, "tenant": "other"},
            ]
        },
    }


async def test_a_key_sees_and_tests_only_the_connectors_of_its_tenants_bots(
    two_tenants: dict[str, Any],
) -> None:
    async with (
        running_databot(two_tenants) as bot,
        served(bot.services, bot.settings, ACME, GLOBEX, OTHER) as (acme, globex, other, _),
    ):
        assert await acme.names("connectors") == ["acme"]
        assert await globex.names("connectors") == ["globex"]
        assert await other.names("connectors") == []
        assert (await globex.call("POST", "/api/v1/connectors/globex/check"))[0] == 200
        status, body = await globex.call("POST", "/api/v1/connectors/acme/check")
        unknown = await globex.call("POST", "/api/v1/connectors/nowhere/check")
    assert status == unknown[0] == 404
    assert body["error"]["message"] == "no connector named 'acme'"


async def test_a_key_sees_the_tools_and_agents_of_its_tenants_bots(
    two_tenants: dict[str, Any],
) -> None:
    async with (
        running_databot(two_tenants) as bot,
        served(bot.services, bot.settings, ACME, GLOBEX, OTHER) as (acme, globex, other, _),
    ):
        assert await acme.names("tools") == ["schema"]
        assert {"schema", "sql", "chart"} <= set(await globex.names("tools"))
        assert await other.names("tools") == await other.names("agents") == []
        _, mine = await acme.call("GET", "/api/v1/agents")
        _, theirs = await globex.call("GET", "/api/v1/agents")
    tools = {agent["name"]: agent["tools"] for agent in mine["agents"]}
    assert tools["sql"] == ["schema"]
    assert "sql" in next(agent["tools"] for agent in theirs["agents"] if agent["name"] == "sql")


async def test_a_tenant_with_several_bots_is_told_of_the_parts_of_all_of_them(
    two_tenants: dict[str, Any],
) -> None:
    two_tenants["bots"]["second"] = {"tenant": "acme", "connectors": ["globex"], "tools": ["sql"]}
    async with (
        running_databot(two_tenants) as bot,
        served(bot.services, bot.settings, ACME) as (acme, _),
    ):
        assert await acme.names("connectors") == ["acme", "globex"]
        assert sorted(await acme.names("tools")) == ["schema", "sql"]
        _, body = await acme.call("GET", "/api/v1/agents")
    sql = next(agent for agent in body["agents"] if agent["name"] == "sql")
    assert sql["tools"] == ["schema", "sql"]


async def test_readiness_names_no_connector_of_another_tenant(two_tenants: dict[str, Any]) -> None:
    two_tenants["bots"]["shared"] = {"connectors": []}
    shared = two_tenants["bots"].pop("shared")
    async with (
        running_databot(two_tenants) as bot,
        served(bot.services, bot.settings, ACME, GLOBEX) as (acme, globex, nobody),
    ):
        told = [await caller.call("GET", "/readyz") for caller in (acme, globex, nobody)]
    seen = [
        [part["name"] for part in body["components"] if part["name"].startswith("connector")]
        for _, body in told
    ]
    assert seen == [["connector acme"], ["connector globex"], []]
    two_tenants["bots"]["shared"] = shared
    async with (
        running_databot(two_tenants) as bot,
        served(bot.services, bot.settings, ACME) as (_, nobody),
    ):
        _, body = await nobody.call("GET", "/readyz")
    names = [part["name"] for part in body["components"]]
    assert {"connector acme", "connector globex"} <= set(names)


async def test_what_a_tenant_may_ask_is_put_together_once(two_tenants: dict[str, Any]) -> None:
    async with running_databot(two_tenants) as bot:
        for tenant in ("acme", "other"):
            assert bot.catalog.forcible(tenant) is bot.catalog.forcible(tenant)
        assert list(bot.catalog.forcible("acme")) == ["default"]
        assert list(bot.catalog.forcible("other")) == []


async def test_an_agent_without_its_tools_is_refused_by_name_whichever_bot_is_asked(
    two_tenants: dict[str, Any],
) -> None:
    two_tenants["bots"]["g"]["tools"] = ["remember"]
    principal = Principal(id="ann", tenant_id="globex")
    async with running_databot(two_tenants) as bot:
        with pytest.raises(NotFound, match="no active agent named 'sql'") as caught:
            await bot.ask("@sql how many?", bot_id="g", principal=principal)
    assert isinstance(caught.value, RequestError)
