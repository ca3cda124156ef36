"""Results: what came back from a tool, read defensively: another shape of result is told in words, never guessed at."""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from databot.providers.offline.catalog import Database, make_column, make_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a query, or a preview of them: `row_count` is how many there are, `truncated` that there are more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    row_count: int
    truncated: bool
    artifact_id: str | None = None

    @property
    def complete(self) -> bool:
        """Every row is here."""
        return not self.truncated and len(self.rows) == self.row_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A result that is no rows: an error, or what a tool says it did."""

    text: str
    failed: bool = False


Outcome = Rows | Words


def outcome(content: str) -> Outcome:
    """A tool's result as rows where it has them, as words otherwise."""
    for document in _documents(content):
        rows, columns = document.get("rows"), document.get("columns")
        if isinstance(rows, list) and isinstance(columns, list):
            return _rows(cast("list[Any]", columns), cast("list[Any]", rows), document)
    text = content.strip()
    return Words(text=text, failed=text.casefold().startswith("error"))


def _rows(columns: Sequence[Any], rows: Sequence[Any], document: Mapping[str, Any]) -> Rows:
    kept = tuple(tuple(cast("list[Any]", row)) for row in rows if isinstance(row, list))
    count, artifact = document.get("row_count"), document.get("artifact_id")
    return Rows(
        columns=tuple(str(column) for column in columns),
        rows=kept,
        row_count=count if isinstance(count, int) else len(kept),
        truncated=bool(document.get("truncated")),
        artifact_id=str(artifact) if artifact else None,
    )


@lru_cache(maxsize=32)
def databases(content: str) -> tuple[Database, ...] | None:
    """The databases a `schema` result describes; `None` when it describes none."""
    for document in _documents(content):
        listed = document.get("schema")
        if isinstance(listed, list):
            truncated = bool(document.get("truncated"))
            entries = (one for one in cast("list[Any]", listed) if isinstance(one, dict))
            return tuple(_database(cast("dict[str, Any]", one), truncated) for one in entries)
    return None


def _database(entry: Mapping[str, Any], truncated: bool) -> Database:
    dialect = str(entry.get("dialect") or "")
    tables = entry.get("tables")
    listed = cast("list[Any]", tables) if isinstance(tables, list) else []
    return Database(
        connector=str(entry.get("connector") or ""),
        dialect=dialect,
        tables=tuple(
            make_table(
                str(table.get("name") or ""),
                _columns(table.get("columns")),
                dialect,
                table["rows"] if isinstance(table.get("rows"), int) else None,
                str(table.get("comment") or ""),
            )
            for table in (cast("dict[str, Any]", t) for t in listed if isinstance(t, dict))
            if table.get("name")
        ),
        truncated=truncated,
    )


def _columns(listed: object) -> Iterator[Any]:
    for column in cast("list[Any]", listed) if isinstance(listed, list) else []:
        parts = (
            [str(part) for part in cast("list[Any]", column)] if isinstance(column, list) else []
        )
        if parts and parts[0]:
            name, kind, note = (*parts, "", "")[:3]
            yield make_column(name, kind, note)


def _documents(content: str) -> Iterator[dict[str, Any]]:
    """Every JSON object that is a line of the text, or the whole of it; also when a fence escaped it for HTML."""
    for text in (content, html.unescape(content)) if "&quot;" in content else (content,):
        for candidate in (*text.splitlines(), text):
            line = candidate.strip()
            if not line.startswith("{"):
                continue
            try:
                parsed: object = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(parsed, dict):
                yield cast("dict[str, Any]", parsed)
