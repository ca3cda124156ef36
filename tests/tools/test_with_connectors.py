"""All data tools over real SQL connectors, through the registry and the guards as the daemon stacks them."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from databot.connectors.registry import ConnectorRegistry
from databot.connectors.sql.connector import SQLConnector
from databot.testing.clock import FakeClock
from databot.testing.memory_store import MemoryArtifactStore, MemoryKeyValue
from databot.tools.base import ToolServices, Toolset
from databot.tools.chart import ChartTool
from databot.tools.export import ExportTool
from databot.tools.guards import Bounded, Timed
from databot.tools.registry import ToolRegistry
from databot.tools.schema import SchemaTool
from databot.tools.sql import SqlTool
from databot.types.errors import QueryRefused, ToolError, ToolTimeout
from tests.tools.kit import CONTEXT, tool_call

SCRIPT = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL);"
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id),"
    " amount DECIMAL(10,2), placed DATE);"
    "INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo');"
    "INSERT INTO orders VALUES (1, 1, 10.50, '2024-05-01'), (2, 2, 20.25, '2024-05-02'), (3, 1, 5, '2024-06-01');"
)
TOTALS = (
    "SELECT c.name, sum(o.amount) AS total FROM orders o JOIN customers c ON c.id = o.customer_id"
    " GROUP BY c.name ORDER BY total DESC"
)
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000)"
    " SELECT count(*) FROM n"
)


def make_database(dialect: str, folder: Path) -> str:
    """The shop in that engine; its URL."""
    path = folder / f"shop.{dialect}"
    if dialect == "sqlite":
        connection = sqlite3.connect(path)
        connection.executescript(SCRIPT)
        connection.close()
    else:
        with duckdb.connect(str(path)) as database:
            database.execute(SCRIPT)
    return f"{dialect}:///{path}"


class House:
    """The tools over one connector called `shop`."""

    def __init__(self, connectors: ConnectorRegistry) -> None:
        self.artifacts = MemoryArtifactStore()
        self.registry = ToolRegistry()
        services = ToolServices(
            connectors=connectors,
            artifacts=self.artifacts,
            memory=MemoryKeyValue(),
            clock=FakeClock(),
        )
        kinds = {"sql": SqlTool, "schema": SchemaTool, "chart": ChartTool, "export": ExportTool}
        assert self.registry.load_plugins(kinds, services) == {}

    def tools(self, **limits_s: float) -> Toolset:
        return Bounded(Timed(self.registry, {**self.registry.timeouts(), **limits_s}))


@pytest.fixture(params=["sqlite", "duckdb"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    url = make_database(request.param, tmp_path)
    connectors = ConnectorRegistry.from_options(
        {"shop": {"type": "sql", "url": url}}, {"sql": SQLConnector}
    )
    try:
        yield House(connectors)
    finally:
        await connectors.aclose()


async def test_the_schema_names_tables_as_a_statement_must(house: House) -> None:
    result = await house.tools().call(tool_call("schema"), CONTEXT)
    (catalog,) = json.loads(result.content.splitlines()[0])["schema"]
    columns = {table["name"]: table["columns"] for table in catalog["tables"]}
    assert set(columns) == {"customers", "orders"}
    assert columns["customers"][0][0::2] == ["id", "pk"]
    assert columns["orders"][1][0::2] == ["customer_id", "fk customers.id"]


async def test_a_question_is_answered_with_rows_evidence_and_figures(house: House) -> None:
    call = tool_call("sql", json.dumps({"sql": TOTALS}))
    result = await house.tools().call(call, CONTEXT)
    document = json.loads(result.content)
    assert [row[0] for row in document["rows"]] == ["Bo", "Ada"]
    assert [float(row[1]) for row in document["rows"]] == [20.25, 15.5]
    assert {20.25, 15.5, 35.75, 2.0} <= set(result.figures)
    (evidence,) = result.evidence
    assert (evidence.connector, evidence.rows, evidence.columns) == ("shop", 2, ("name", "total"))


async def test_a_chart_over_time_is_drawn(house: House) -> None:
    arguments = {
        "sql": "SELECT placed, amount FROM orders ORDER BY placed",
        "mark": "line",
        "x": "placed",
        "y": "amount",
    }
    result = await house.tools().call(tool_call("chart", json.dumps(arguments)), CONTEXT)
    assert [ref.name.rsplit(".", 1)[1] for ref in result.artifacts] == ["svg", "png", "json"]
    assert "2024-05-02" in result.summary
    spec = json.loads(house.artifacts.saved[2].data)
    assert spec["encoding"]["x"]["type"] == "temporal"


async def test_an_export_has_the_rows(house: House) -> None:
    call = tool_call("export", json.dumps({"sql": TOTALS, "format": "csv"}))
    await house.tools().call(call, CONTEXT)
    assert house.artifacts.saved[0].data.decode().splitlines()[0] == "name,total"


@pytest.mark.parametrize("tool", ["sql", "export"])
async def test_a_write_is_refused_through_every_tool(house: House, tool: str) -> None:
    arguments = {"sql": "DELETE FROM orders", **({"format": "csv"} if tool == "export" else {})}
    with pytest.raises(QueryRefused):
        await house.tools().call(tool_call(tool, json.dumps(arguments)), CONTEXT)
    count = await house.tools().call(
        tool_call("sql", '{"sql": "SELECT count(*) FROM orders"}'), CONTEXT
    )
    assert json.loads(count.content)["rows"] == [[3]]


async def test_a_column_that_does_not_exist_is_told(house: House) -> None:
    with pytest.raises(ToolError, match="amuont"):
        await house.tools().call(tool_call("sql", '{"sql": "SELECT amuont FROM orders"}'), CONTEXT)


async def test_a_query_past_its_time_ends_in_the_database_too(house: House) -> None:
    call = tool_call("sql", json.dumps({"sql": ENDLESS}))
    async with asyncio.timeout(20):
        with pytest.raises(ToolTimeout):
            await house.tools(sql=0.2).call(call, CONTEXT)
        again = replace(call, arguments='{"sql": "SELECT 1 AS one"}')
        result = await house.tools().call(again, CONTEXT)
    assert json.loads(result.content)["rows"] == [[1]]
