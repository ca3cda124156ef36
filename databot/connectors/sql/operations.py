"""The operations of a SQL connector by name, for callers that know no types (REST, MCP, the command line)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from databot.connectors.base import Operation


class Arguments(BaseModel):
    """Base of the arguments of every operation."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NoArguments(Arguments):
    """Nothing to say."""


class Statement(Arguments):
    """One SQL statement."""

    sql: str = Field(min_length=1, description="One statement that reads.")


class Schema(Arguments):
    """A schema, or all."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)
    schema_name: str | None = Field(default=None, alias="schema", description="All when left out.")


class Table(Arguments):
    """A table."""

    name: str = Field(min_length=1, description="Bare or qualified.")


class Sample(Table):
    """A table and how much of it."""

    rows: int = Field(default=5, ge=1, le=1000, description="Rows to show.")


ARGUMENTS: dict[str, tuple[type[Arguments], str]] = {
    "query": (Statement, "Run one reading SQL statement."),
    "list_schemas": (NoArguments, "The schemas that hold data."),
    "list_tables": (Schema, "Tables and views, with comments and estimated rows."),
    "describe_table": (Table, "Columns, types, keys and comments of a table."),
    "sample": (Sample, "The first rows of a table."),
    "explain": (Statement, "The engine's plan of a statement, without running it."),
}


def operations() -> tuple[Operation, ...]:
    """All of them, as the contract describes operations."""
    return tuple(
        Operation(name=name, description=description, parameters=schema_of(model))
        for name, (model, description) in ARGUMENTS.items()
    )


def schema_of(model: type[Arguments]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)
