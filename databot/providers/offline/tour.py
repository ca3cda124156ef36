"""The tour: what databases there are, their tables, and one table described: all from the catalog alone."""

import re
from collections.abc import Sequence

from databot.providers.offline.catalog import Column, Database, Table
from databot.providers.offline.prose import NOTHING, among, markdown
from databot.providers.offline.reading import Reading
from databot.providers.offline.talk import examples
from databot.types.errors import shorten

MAX_TABLES = 40
MAX_COLUMNS = 80

_OVERVIEW = re.compile(
    r"\bwhat(?:'s| is| do you have| is there| data is)? (?:stored |there )?in (?:this|the|my|our|your|here)\b.*\b(?:database|databases|db|data|warehouse|here|connection|schema)\b"
    r"|\bwhat (?:kind of |sort of )?data (?:do|can|is|are|have)\b|\b(?:which|what|list|show)(?: me)?(?: all| the)* (?:databases|data sources|connectors|connections)\b"
    r"|^\W*(?:overview|what(?:'s| is) (?:in )?here|what do you know|show (?:me )?(?:the )?(?:schema|database|overview))\W*$",
    re.IGNORECASE,
)
_DESCRIBE = re.compile(
    r"^\W*(?:please )?(?:describe|desc|explain|tell me about|what is in|what's in|details? (?:of|about|on))\b"
    r"|\b(?:columns|fields|structure|schema|layout|definition)\b",
    re.IGNORECASE,
)


_TABLES = re.compile(r"\btables\b", re.IGNORECASE)
MAX_OTHER_WORDS = 3


def asks_tables(text: str, reading: Reading) -> bool:
    """Whether the tables are asked for, in whatever words: "wat tables r in here"."""
    others = len(reading.strange) <= MAX_OTHER_WORDS and not reading.periods
    return reading.has("tables") or (bool(_TABLES.search(text)) and not reading.nouns and others)


def asks_overview(text: str) -> bool:
    """Whether the person wants to know what there is at all."""
    return bool(_OVERVIEW.search(text))


def described_table(text: str, reading: Reading, database: Database) -> Table | None:
    """The table that is to be described, if the message asks for that."""
    if not _DESCRIBE.search(text) or reading.has(
        "count", "sum", "avg", "min", "max", "by", "grain", "top"
    ):
        return None
    named = [name for item in reading.nouns for name in item.tables]
    return database.by_name[named[0]] if named else None


def tables_text(databases: Sequence[Database]) -> str:
    """Every table of every database."""
    parts: list[str] = []
    for database in databases:
        count = len(database.tables)
        if not count:
            parts.append(f"{database.connector} ({database.dialect}) has no tables that I may see.")
            continue
        head = f"{database.connector} ({database.dialect}) has **{count}** table{'' if count == 1 else 's'}"
        more = " or more" if database.truncated else ""
        rows = [(t.name, t.rows, _columns_word(t)) for t in database.tables[:MAX_TABLES]]
        parts.append(f"{head}{more}:")
        parts.append(markdown(("table", "rows", "columns"), rows))
        if count > MAX_TABLES:
            parts.append("Only the first ones are shown; “describe …” works for all of them.")
    return "\n\n".join(parts) or "No database is connected."


def _columns_word(table: Table) -> str:
    names = [column.name for column in table.columns]
    return shorten(", ".join(names), 58) if names else NOTHING


def overview(databases: Sequence[Database]) -> str:
    """The tables, and what could be asked of them."""
    found = examples(databases)
    asks = ["You could ask:\n\n" + "\n".join(f"- {one}" for one in found)] if found else []
    return "\n\n".join([tables_text(databases), *asks])


def table_text(table: Table, database: Database) -> str:
    """One table with its columns and keys."""
    count = len(table.columns)
    head = f"{table.name} in {database.connector} has {count} column{'' if count == 1 else 's'}"
    size = f" and about {table.rows:,} rows" if table.rows is not None else ""
    rows = [(column.name, column.type, _key(column)) for column in table.columns[:MAX_COLUMNS]]
    parts = [f"{head}{size}."]
    if table.comment:
        parts.append(table.comment)
    parts.append(markdown(("column", "type", "key"), rows))
    pointing = _pointing_at(table, database)
    if pointing:
        parts.append(f"Tables that point at it: {among(pointing)}.")
    return "\n\n".join(parts)


def _key(column: Column) -> str:
    if column.points_at:
        return f"→ {'.'.join(column.points_at)}"
    return "primary key" if column.primary else ""


def _pointing_at(table: Table, database: Database) -> list[str]:
    names = {table.name, table.short}
    return [
        other.name
        for other in database.tables
        if any(column.points_at and column.points_at[0] in names for column in other.columns)
    ]
