"""The connected databases as documents: one for each table, so that a question finds the tables it is about."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from math import floor, log10

from databot.connectors.base import Column, Connectors, ForeignKey, SqlSource, TableInfo
from databot.rag.base import Document, SourceProblem
from databot.types.errors import describe

DESCRIBE_TIMEOUT_S = 60.0
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class SchemaSource:
    """A `DocumentSource` over every SQL connector; one that does not answer keeps what is stored of it."""

    def __init__(self, connectors: Connectors) -> None:
        self._connectors = connectors

    async def documents(self, tenant_id: str) -> AsyncIterator[Document | SourceProblem]:  # noqa: ARG002 - connectors are the deployment's
        for name, source in self._connectors.sql().items():
            described = await _describe(name, source)
            if isinstance(described, SourceProblem):
                yield described
            else:
                for document in described:
                    yield document


def table_document(connector: str, info: TableInfo, pointed_at: Iterable[str] = ()) -> Document:
    """What is known of a table, in words a search can match; `pointed_at` are the tables that refer to it."""
    return Document(
        source=f"{connector}/{info.table.qualified}",
        title=f"{info.table.kind} {info.table.qualified} ({connector})",
        text="\n".join(_lines(connector, info, tuple(pointed_at))),
        kind="schema",
        metadata={"connector": connector, "table": info.table.qualified},
    )


def rounded(rows: int) -> str:
    """An estimate to one figure: a table that grows a little does not need to be indexed again."""
    if rows < 10:
        return str(max(rows, 0))
    step = 10 ** floor(log10(rows))
    return f"{round(rows / step) * step:,}"


def spoken(name: str) -> str:
    """A name as words: `orderItems` and `order_items` are both `order items`."""
    return " ".join(_HUMP.sub(" ", name).replace("_", " ").split()).lower()


async def _describe(name: str, source: SqlSource) -> Iterator[Document] | SourceProblem:
    try:
        async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
            tables = await source.describe()
    except TimeoutError:
        reason = f"no answer within {DESCRIBE_TIMEOUT_S:g} s"
    except Exception as error:  # boundary: one connector, which may be a plugin's
        reason = describe(error)
    else:
        pointed_at = _pointed_at(tables)
        return (
            table_document(name, info, sorted(pointed_at.get(info.table.qualified, ())))
            for info in tables
        )
    return SourceProblem(source=f"{name}/", detail=f"the schema of {name} was not read: {reason}")


def _pointed_at(tables: Iterable[TableInfo]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for info in tables:
        for key in info.foreign_keys:
            found.setdefault(_target(key), set()).add(info.table.qualified)
    return found


def _lines(connector: str, info: TableInfo, pointed_at: tuple[str, ...]) -> Iterator[str]:
    table = info.table
    size = f", about {rounded(table.row_estimate)} rows" if table.row_estimate is not None else ""
    yield f"{table.kind.capitalize()} {table.qualified} ({spoken(table.name)}) in {connector}{size}."
    if table.comment:
        yield _one_line(table.comment)
    if pointed_at:
        yield f"Referred to by: {', '.join(pointed_at)}."
    yield "Columns:"
    targets = {column: key for key in info.foreign_keys for column in key.columns}
    for column in info.columns:
        yield _column_line(column, targets.get(column.name))


def _column_line(column: Column, key: ForeignKey | None) -> str:
    parts = [f"- {column.name} {column.type}"]
    if column.primary_key:
        parts.append("primary key")
    if not column.nullable and not column.primary_key:
        parts.append("not null")
    if key:
        place = key.columns.index(column.name)
        target = key.to_columns[place] if place < len(key.to_columns) else ""
        parts.append(f"refers to {_target(key)}{'.' if target else ''}{target}")
    line = ", ".join(parts)
    words = spoken(column.name) if _HUMP.search(column.name) else ""
    notes = [note for note in (words, _one_line(column.comment)) if note]
    return f"{line}: {'; '.join(notes)}" if notes else line


def _target(key: ForeignKey) -> str:
    return f"{key.to_schema}.{key.to_table}" if key.to_schema else key.to_table


def _one_line(text: str) -> str:
    return " ".join(text.split())
