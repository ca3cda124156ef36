"""The schema tool gives one bounded JSON document that models and the offline analyst read."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from databot.connectors.base import Column, TableInfo
from databot.tools.registry import ToolRegistry
from databot.tools.schema import SchemaTool
from databot.tools.schema_document import MAX_CHARS, Catalog, describe_catalogs
from databot.types.errors import ConnectorError, InvalidToolArguments, ToolError
from tests.tools.kit import CONTEXT, Bench, SqliteSource, table, tool_call


class CatalogSource(SqliteSource):
    """A source with the tables it is given."""

    def __init__(
        self,
        name: str,
        tables: Sequence[TableInfo],
        *,
        dialect: str = "postgres",
        failure: ConnectorError | None = None,
    ) -> None:
        super().__init__(name, Path("nowhere"))
        self.dialect = dialect
        self._tables = tables
        self._failure = failure

    async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
        if self._failure:
            raise self._failure
        return self._tables

    async def list_schemas(self) -> Sequence[str]:
        return sorted({info.table.schema for info in self._tables})


async def look(*sources: SqliteSource, **arguments: str) -> tuple[dict[str, object], list[str]]:
    """The document and the lines after it."""
    registry = ToolRegistry([SchemaTool(Bench(sources).services.connectors)])
    result = await registry.call(tool_call("schema", json.dumps(arguments)), CONTEXT)
    first, *said = result.content.splitlines()
    return json.loads(first), said


def names_of(document: dict[str, object]) -> list[str]:
    catalogs = document["schema"]
    assert isinstance(catalogs, list)
    return [entry["name"] for catalog in catalogs for entry in catalog["tables"]]


async def test_the_document_has_tables_with_columns_and_keys(shop: SqliteSource) -> None:
    document, said = await look(shop)
    assert document == {
        "schema": [
            {
                "connector": "shop",
                "dialect": "sqlite",
                "tables": [
                    {
                        "name": "customers",
                        "rows": 3,
                        "comment": "",
                        "columns": [
                            ["id", "INTEGER", "pk"],
                            ["name", "INTEGER", ""],
                            ["country", "INTEGER", ""],
                        ],
                    },
                    {
                        "name": "orders",
                        "rows": 3,
                        "comment": "",
                        "columns": [
                            ["id", "INTEGER", "pk"],
                            ["customer_id", "INTEGER", "fk customers.id"],
                            ["amount", "INTEGER", ""],
                        ],
                    },
                ],
            }
        ],
        "truncated": False,
    }
    assert said == []


@pytest.mark.parametrize(
    ("dialect", "schemas", "names"),
    [
        ("postgres", ("public", "sales"), ["a", "sales.b"]),
        ("duckdb", ("main", "raw"), ["a", "raw.b"]),
        ("tsql", ("dbo", "raw"), ["a", "raw.b"]),
        ("mysql", ("shop", "shop"), ["a", "b"]),
        ("mysql", ("shop", "crm"), ["shop.a", "crm.b"]),
        ("sqlite", ("", ""), ["a", "b"]),
    ],
)
async def test_a_name_is_qualified_only_where_a_statement_must(
    dialect: str, schemas: tuple[str, str], names: list[str]
) -> None:
    tables = [table("a", "id", schema=schemas[0]), table("b", "id", schema=schemas[1])]
    document, _ = await look(CatalogSource("db", tables, dialect=dialect))
    assert names_of(document) == names


def test_a_key_into_another_schema_is_qualified_and_a_key_column_that_points_says_where() -> None:
    info = table("lines", "order_id", schema="public", keys={"order_id": "orders.id"})
    info = replace(info, foreign_keys=(replace(info.foreign_keys[0], to_schema="sales"),))
    catalog = Catalog(connector="db", dialect="postgres", tables=(info,), default_schema="public")
    (line,) = describe_catalogs([catalog])
    assert json.loads(line)["schema"][0]["tables"][0]["columns"] == [
        ["order_id", "INTEGER", "fk sales.orders.id"]
    ]


async def test_one_table_comes_with_the_comments_of_its_columns() -> None:
    info = table("orders", "id", "status", schema="public", comment="One row\nan order")
    columns = (info.columns[0], Column(name="status", type="text", comment="paid\nor open"))

    class OneTable(CatalogSource):
        async def describe_table(self, name: str) -> TableInfo:
            assert name == "orders"
            return replace(info, columns=columns)

    document, said = await look(OneTable("db", [info]), table="orders")
    assert names_of(document) == ["orders"]
    assert said == ["orders.status: paid or open"]


async def test_a_table_nobody_has_is_told_with_the_nearest(shop: SqliteSource) -> None:
    with pytest.raises(ToolError, match="the nearest are: customers"):
        await look(shop, table="custmers")


async def test_a_table_is_found_in_whichever_connector_has_it(
    shop: SqliteSource, tmp_path: Path
) -> None:
    class Empty(SqliteSource):
        async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
            return []

    document, said = await look(Empty("empty", tmp_path / "empty.db"), shop, table="orders")
    assert names_of(document) == ["orders"]
    assert said == []


async def test_a_connector_that_is_down_hides_no_other(shop: SqliteSource) -> None:
    failure = ConnectorError(
        "no answer", kind="unavailable", connector="crm", hint="is it running?"
    )
    document, said = await look(CatalogSource("crm", [], failure=failure), shop)
    assert names_of(document) == ["customers", "orders"]
    assert said == ["crm could not be read: no answer (is it running?)"]
    with pytest.raises(ToolError, match="no answer"):
        await look(CatalogSource("crm", [], failure=failure))


async def test_an_unknown_connector_is_told_with_the_known_ones(shop: SqliteSource) -> None:
    with pytest.raises(InvalidToolArguments, match=r"'wharehouse'.*shop"):
        await look(shop, connector="wharehouse")


async def test_an_empty_database_says_so() -> None:
    document, said = await look(CatalogSource("db", []))
    assert names_of(document) == []
    assert said == ["There are no tables."]


@pytest.mark.parametrize(("count", "columns"), [(500, 20), (5_000, 3), (1, 3_000), (3, 700)])
def test_a_huge_catalog_stays_bounded_and_says_what_is_missing(count: int, columns: int) -> None:
    names = [f"column_{number}" for number in range(columns)]
    tables = tuple(table(f"table_{number:04}", *names) for number in range(count))
    lines = describe_catalogs([Catalog(connector="db", dialect="sqlite", tables=tables)])
    document = json.loads(lines[0])
    assert sum(map(len, lines)) <= MAX_CHARS
    assert document["truncated"] is True
    listed = document["schema"][0]["tables"]
    assert {len(entry["columns"]) for entry in listed} <= {0, columns}
    assert "`search`" in lines[1]
    assert (len(listed) < count) is any("Listed:" in line for line in lines)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("customer", "customers"),
        ("CUSTOMERS", "customers"),
        ("custmer", "customers"),
        ("unit price", "orderLines"),
        ("order lines", "orderLines"),
        ("refunds", "returns"),
        ("größe", "maße"),
    ],
)
async def test_search_finds_tables_by_name_column_and_comment_with_typos(
    query: str, first: str
) -> None:
    tables = [
        table("customers", "id", "name", schema="public"),
        table("orderLines", "id", "unitPrice", schema="public"),
        table("returns", "id", schema="public", comment="All refunds given"),
        table("maße", "id", "Größe", schema="public"),
        table("audit_log", "id", "at", schema="public"),
    ]
    document, said = await look(CatalogSource("db", tables), search=query)
    assert names_of(document)[0] == first
    assert "audit_log" not in names_of(document)
    assert said[0].startswith("Matches of")


async def test_a_search_without_matches_gives_the_nearest_and_says_so(shop: SqliteSource) -> None:
    document, said = await look(shop, search="zzz")
    assert names_of(document)
    assert said[0].startswith("Nothing matches")


async def test_a_search_without_words_gives_everything(shop: SqliteSource) -> None:
    document, _ = await look(shop, search="  ?! ")
    assert names_of(document) == ["customers", "orders"]


def test_without_a_database_there_is_no_such_tool() -> None:
    assert SchemaTool.create(Bench([]).services) is None
