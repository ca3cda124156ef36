"""The sql tool runs a statement on the right connector and shows what came back."""

import json
from pathlib import Path

import pytest

from databot.connectors.base import CallContext, QueryLimits, QueryResult
from databot.tools.registry import ToolRegistry
from databot.tools.sql import SqlTool
from databot.types.errors import ConnectorError, InvalidToolArguments, ToolError
from tests.tools.kit import CONTEXT, Bench, SqliteSource, make_shop, tool_call


def registry_of(bench: Bench) -> ToolRegistry:
    registry = ToolRegistry()
    assert registry.load_plugins({"sql": SqlTool}, bench.services) == {}
    return registry


async def test_the_only_connector_is_asked_on_behalf_of_the_caller(
    bench: Bench, shop: SqliteSource
) -> None:
    call = tool_call("sql", '{"sql": "SELECT count(*) AS n FROM orders"}')
    result = await registry_of(bench).call(call, CONTEXT)
    assert json.loads(result.content)["rows"] == [[3]]
    assert result.summary.startswith("1 row in ")
    assert 3.0 in result.figures
    asked = CallContext(tenant_id="acme", principal_id="ada", session_id="s_1")
    assert shop.asked == [("SELECT count(*) AS n FROM orders", asked, None)]


async def test_a_query_that_only_prepares_another_is_a_lookup(bench: Bench) -> None:
    tools = registry_of(bench)
    call = '{"sql": "SELECT DISTINCT id FROM orders", "purpose": "lookup"}'
    (lookup,) = (await tools.call(tool_call("sql", call), CONTEXT)).evidence
    (answer,) = (await tools.call(tool_call("sql", '{"sql": "SELECT 1"}'), CONTEXT)).evidence
    assert (lookup.purpose, answer.purpose) == ("lookup", "answer")


async def test_with_several_connectors_one_must_be_named(
    shop: SqliteSource, tmp_path: Path
) -> None:
    other = SqliteSource("archive", make_shop(tmp_path / "archive.db", orders=7))
    tools = registry_of(Bench([shop, other]))
    with pytest.raises(InvalidToolArguments, match="shop, archive"):
        await tools.call(tool_call("sql", '{"sql": "SELECT 1"}'), CONTEXT)
    named = '{"sql": "SELECT count(*) FROM orders", "connector": "archive"}'
    result = await tools.call(tool_call("sql", named), CONTEXT)
    assert json.loads(result.content)["rows"] == [[7]]
    assert result.evidence[0].connector == "archive"


async def test_an_error_of_the_database_reaches_the_model_with_what_to_do(bench: Bench) -> None:
    with pytest.raises(ToolError, match=r"no such column: amuont.*look at `schema`.*bad_request"):
        await registry_of(bench).call(
            tool_call("sql", '{"sql": "SELECT amuont FROM orders"}'), CONTEXT
        )


async def test_a_statement_the_database_did_not_understand_is_told_with_where_to_look(
    tmp_path: Path,
) -> None:
    class Terse(SqliteSource):
        async def query(
            self, sql: str, context: CallContext, limits: QueryLimits | None = None
        ) -> QueryResult:
            raise ConnectorError("shop: syntax error", kind="bad_request", connector="shop")

    tools = registry_of(Bench([Terse("shop", tmp_path / "shop.db")]))
    with pytest.raises(ToolError) as caught:
        await tools.call(tool_call("sql", '{"sql": "SELEC 1"}'), CONTEXT)
    assert caught.value.message == (
        "shop: syntax error (look at `schema` for the names that exist, and mind the SQL dialect (sqlite))"
        " [bad_request]"
    )


async def test_a_result_at_the_limit_is_cut_told_and_kept(tmp_path: Path) -> None:
    source = SqliteSource("shop", make_shop(tmp_path / "big.db", orders=500), max_rows=100)
    bench = Bench([source])
    result = await registry_of(bench).call(
        tool_call("sql", '{"sql": "SELECT * FROM orders"}'), CONTEXT
    )
    first, *said = result.content.splitlines()
    document = json.loads(first)
    assert (document["row_count"], document["truncated"], len(document["rows"])) == (100, True, 50)
    assert "cut this result after 100 rows" in said[0]
    assert len(bench.artifact.data.splitlines()) == 101
    assert result.artifacts == (bench.artifact.ref,)


@pytest.mark.parametrize("sql", ["", None])
async def test_an_empty_statement_is_refused(bench: Bench, sql: str | None) -> None:
    with pytest.raises(InvalidToolArguments):
        await registry_of(bench).call(tool_call("sql", json.dumps({"sql": sql})), CONTEXT)


def test_without_a_database_there_is_no_such_tool() -> None:
    assert SqlTool.create(Bench([]).services) is None


async def test_a_bot_whose_databases_are_gone_is_told_so() -> None:
    bench = Bench([])
    tool = SqlTool(bench.services.connectors, bench.store, bench.clock)
    with pytest.raises(ToolError, match="no SQL database is connected"):
        await ToolRegistry([tool]).call(tool_call("sql", '{"sql": "SELECT 1"}'), CONTEXT)
