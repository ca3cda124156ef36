"""Catalogs as the one JSON document that models and the offline analyst read.

    {"schema": [{"connector": "shop", "dialect": "sqlite", "tables": [
        {"name": "orders", "rows": 120, "comment": "", "columns": [["id", "INTEGER", "pk"], ["customer_id", "INTEGER", "fk customers.id"]]}
    ]}], "truncated": false}

It is bounded: when there is too much, the later tables keep their names and lose their columns, then the names are cut,
and `truncated` is true. Pure; knows no connector.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from databot.connectors.base import TableInfo
from databot.tools.cells import one_line_json
from databot.types.errors import shorten

MAX_CHARS = 24_000
COMMENT_CHARS = 200
COLUMN_COMMENT_CHARS = 300
TYPE_CHARS = 60
ADVICE = (
    "Not everything is shown: tables with an empty `columns` have columns too. Use `search` with a few words, or"
    " `table` with a name, to see them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The tables of one connector; those of the `default_schema` are named without it."""

    connector: str
    dialect: str
    tables: tuple[TableInfo, ...]
    default_schema: str = ""


def describe_catalogs(
    catalogs: Sequence[Catalog], *, with_comments: bool = False, budget: int = MAX_CHARS
) -> list[str]:
    """The lines of the answer: the document, then what must be said about it."""
    tables = [(catalog, info) for catalog in catalogs for info in catalog.tables]
    heads = [_table_json(catalog, info, columns="[]") for catalog, info in tables]
    shells = sum(len(catalog.connector) + len(catalog.dialect) + 60 for catalog in catalogs)
    room = budget - shells - 500
    listed = _count_that_fits(heads, room)
    room -= sum(len(head) + 1 for head in heads[:listed])
    entries: dict[str, list[str]] = {catalog.connector: [] for catalog in catalogs}
    complete = listed == len(tables)
    for (catalog, info), head in zip(tables[:listed], heads, strict=False):
        columns = one_line_json(columns_of(catalog, info))
        if len(columns) <= room:
            room -= len(columns)
            entries[catalog.connector].append(_table_json(catalog, info, columns=columns))
        else:
            complete = False
            entries[catalog.connector].append(head)
    lines = [_document(catalogs, entries, complete=complete)]
    if not complete:
        lines.append(ADVICE)
    if listed < len(tables):
        lines.append(f"Listed: {listed:,} of {len(tables):,} tables.")
    if with_comments:
        lines.extend(_comments(catalogs, room))
    return lines


def _count_that_fits(parts: Sequence[str], room: int) -> int:
    used = 0
    for position, part in enumerate(parts):
        used += len(part) + 1
        if used > room:
            return position
    return len(parts)


def _document(catalogs: Sequence[Catalog], entries: dict[str, list[str]], *, complete: bool) -> str:
    parts = [
        f'{{"connector":{one_line_json(catalog.connector)},"dialect":{one_line_json(catalog.dialect)},'
        f'"tables":[{",".join(entries[catalog.connector])}]}}'
        for catalog in catalogs
    ]
    return f'{{"schema":[{",".join(parts)}],"truncated":{"false" if complete else "true"}}}'


def _table_json(catalog: Catalog, info: TableInfo, *, columns: str) -> str:
    head = {
        "name": shown_name(catalog, info.table.schema, info.table.name),
        "rows": info.table.row_estimate,
        "comment": shorten(info.table.comment, COMMENT_CHARS),
    }
    return f'{one_line_json(head)[:-1]},"columns":{columns}}}'


def shown_name(catalog: Catalog, schema: str, name: str) -> str:
    """The table's name, qualified where a statement must qualify it."""
    return name if schema in {"", catalog.default_schema} else f"{schema}.{name}"


def columns_of(catalog: Catalog, info: TableInfo) -> list[list[str]]:
    """Each column as `[name, type, key]`; a foreign key is told rather than that it is part of the primary key."""
    targets = {
        column: f"fk {shown_name(catalog, key.to_schema, key.to_table)}.{target}"
        for key in info.foreign_keys
        for column, target in zip(key.columns, key.to_columns, strict=False)
    }
    return [
        [
            column.name,
            shorten(column.type, TYPE_CHARS),
            targets.get(column.name, "pk" if column.primary_key else ""),
        ]
        for column in info.columns
    ]


def _comments(catalogs: Sequence[Catalog], room: int) -> Iterable[str]:
    """The comments on columns, as lines, while there is room."""
    for catalog in catalogs:
        for info in catalog.tables:
            for column in info.columns:
                if not column.comment:
                    continue
                said = " ".join(column.comment.split())
                line = f"{info.table.name}.{column.name}: {shorten(said, COLUMN_COMMENT_CHARS)}"
                room -= len(line) + 1
                if room < 0:
                    return
                yield line
