"""Tables as documents: what a question can find them by."""

import pytest

from databot.connectors.base import Column, ForeignKey, TableInfo, TableName
from databot.rag.base import Document, SourceProblem
from databot.rag.schema_docs import SchemaSource, rounded, spoken, table_document
from databot.types.errors import ConnectorError
from tests.rag.kit import FixedConnectors, FixedSchema

ORDERS = TableInfo(
    table=TableName(
        schema="sales", name="orders", comment="One row\nan order.", row_estimate=12_345
    ),
    columns=(
        Column(name="id", type="bigint", nullable=False, primary_key=True),
        Column(name="customerId", type="bigint", nullable=False, comment="who bought"),
    ),
    foreign_keys=(
        ForeignKey(
            columns=("customerId",), to_schema="sales", to_table="customers", to_columns=("id",)
        ),
    ),
)
CUSTOMERS = TableInfo(
    table=TableName(schema="sales", name="customers"), columns=(Column(name="id", type="bigint"),)
)


async def read(source: SchemaSource) -> list[Document | SourceProblem]:
    return [item async for item in source.documents("acme")]


def test_a_table_is_told_with_columns_keys_comments_and_size() -> None:
    made = table_document("shop", ORDERS)
    assert (made.source, made.title, made.kind) == (
        "shop/sales.orders",
        "table sales.orders (shop)",
        "schema",
    )
    assert made.text == (
        "Table sales.orders (orders) in shop, about 10,000 rows.\n"
        "One row an order.\n"
        "Columns:\n"
        "- id bigint, primary key\n"
        "- customerId bigint, not null, refers to sales.customers.id: customer id; who bought"
    )


async def test_a_table_tells_who_refers_to_it() -> None:
    source = SchemaSource(FixedConnectors(FixedSchema("shop", [ORDERS, CUSTOMERS])))
    _, customers = await read(source)
    assert isinstance(customers, Document)
    assert "Referred to by: sales.orders." in customers.text


@pytest.mark.parametrize(
    "error", [ConnectorError("no route to host", hint="start it"), RuntimeError("a plugin's bug")]
)
async def test_a_connector_that_fails_is_a_problem_and_the_others_are_read(
    error: Exception,
) -> None:
    broken, sound = FixedSchema("lake", []), FixedSchema("shop", [CUSTOMERS])
    broken.error = error
    problem, document = await read(SchemaSource(FixedConnectors(broken, sound)))
    assert isinstance(problem, SourceProblem)
    assert problem.source == "lake/"
    assert "the schema of lake was not read" in problem.detail
    assert isinstance(document, Document)


@pytest.mark.parametrize(
    ("rows", "text"),
    [(-1, "0"), (0, "0"), (7, "7"), (12, "10"), (95, "100"), (1_499_000, "1,000,000")],
)
def test_row_estimates_are_rounded_so_that_growth_is_no_change(rows: int, text: str) -> None:
    assert rounded(rows) == text


@pytest.mark.parametrize("name", ["orderItems", "order_items", "OrderItems", "order__items_"])
def test_names_are_spoken_as_words(name: str) -> None:
    assert spoken(name) == "order items"
