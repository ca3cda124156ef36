"""Catalog queries' rows as `TableInfo`s: every engine's one query yields the same seven columns.

`schema, table, type, comment, row_estimate, columns, keys`; `columns` is JSON `[[name, type, nullable, primary_key,
comment], …]` and `keys` is JSON `[[key, column, to_schema, to_table, to_column], …]`, both in order.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from databot.connectors.base import Column, ForeignKey, TableInfo, TableName


def tables_of(rows: Iterable[Sequence[Any]]) -> tuple[TableInfo, ...]:
    """The tables, in the order of the rows; a key that names no target columns points at the primary key."""
    tables = [table_of(row) for row in rows]
    primary = {
        (info.table.schema, info.table.name.lower()): tuple(
            column.name for column in info.columns if column.primary_key
        )
        for info in tables
    }
    return tuple(
        replace(info, foreign_keys=tuple(completed(key, primary) for key in info.foreign_keys))
        for info in tables
    )


def completed(key: ForeignKey, primary: Mapping[tuple[str, str], tuple[str, ...]]) -> ForeignKey:
    if all(key.to_columns):
        return key
    return replace(key, to_columns=primary.get((key.to_schema, key.to_table.lower()), ()))


def table_of(row: Sequence[Any]) -> TableInfo:
    schema, name, kind, comment, estimate, columns, keys = row
    return TableInfo(
        table=TableName(
            schema=schema or "",
            name=name,
            kind="view" if "view" in str(kind).lower() else "table",
            comment=comment or "",
            row_estimate=int(estimate) if estimate is not None and estimate >= 0 else None,
        ),
        columns=tuple(column_of(item) for item in decoded(columns)),
        foreign_keys=keys_of(decoded(keys)),
    )


def decoded(value: Any) -> list[Any]:  # noqa: ANN401 - JSON text, or decoded by the client
    if value is None:
        return []
    return json.loads(value) if isinstance(value, str | bytes) else list(value)


def column_of(item: Sequence[Any]) -> Column:
    name, kind, nullable, primary, comment = item
    return Column(
        name=name,
        type=kind or "",
        nullable=bool(nullable),
        primary_key=bool(primary),
        comment=comment or "",
    )


def keys_of(items: Sequence[Sequence[Any]]) -> tuple[ForeignKey, ...]:
    """Foreign keys of one or more columns; a target column of `None` is the target's primary key (SQLite)."""
    keys: list[ForeignKey] = []
    for _, group in groupby(items, key=lambda item: item[0]):
        parts = list(group)
        keys.append(
            ForeignKey(
                columns=tuple(part[1] for part in parts),
                to_schema=parts[0][2] or "",
                to_table=parts[0][3],
                to_columns=tuple(part[4] or "" for part in parts),
            )
        )
    return tuple(keys)
