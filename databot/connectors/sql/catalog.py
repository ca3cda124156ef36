"""The tables of one database, looked up once and kept for a while.

Not a search: a name is found as written, without regard to case, or the nearest names are told.
"""

import asyncio
from collections.abc import Sequence

from databot.connectors.base import TableInfo, TableName
from databot.connectors.sql.driver import Driver
from databot.types.clock import Clock
from databot.types.errors import ConnectorError, shorten

NEAREST = 3
LEAST_LIKENESS = 55.0


class Catalog:
    """What a driver knows of its tables, cached for `ttl_s`; several who ask at once share one look."""

    def __init__(self, driver: Driver, clock: Clock, *, ttl_s: float, timeout_s: float) -> None:
        self._driver = driver
        self._clock = clock
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._tables: Sequence[TableInfo] = ()
        self._read_at: float | None = None

    async def tables(self) -> Sequence[TableInfo]:
        """All tables, in name order."""
        async with self._lock:
            if self._read_at is None or self._clock.monotonic() - self._read_at >= self._ttl_s:
                self._tables = await self._driver.introspect(self._timeout_s)
                self._read_at = self._clock.monotonic()
            return self._tables

    async def find(self, name: str, connector: str) -> TableInfo:
        """The table of that bare or qualified name.

        Raises:
            ConnectorError: `not_found` with the nearest names, or `bad_request` when several schemas have it.
        """
        tables = await self.tables()
        wanted = split_name(name)
        found = matching(tables, wanted)
        if len(found) > 1:
            preferred = [info for info in found if info.table.schema == self._driver.default_schema]
            found = preferred or found
        if len(found) == 1:
            return found[0]
        raise (ambiguous if found else unknown)(name, connector, found or tables)


def split_name(name: str) -> list[str]:
    """The parts of a dotted name, without the quotes of any dialect."""
    return [part.strip().strip('"`[]') for part in name.strip().split(".")]


def matching(tables: Sequence[TableInfo], wanted: Sequence[str]) -> list[TableInfo]:
    """Tables named exactly so, else without regard to case; a database in front of the schema is ignored."""
    schema = wanted[-2] if len(wanted) > 1 else None
    exact = [
        info
        for info in tables
        if info.table.name == wanted[-1] and schema in (None, info.table.schema)
    ]
    return exact or [info for info in tables if alike(info.table, schema, wanted[-1])]


def alike(table: TableName, schema: str | None, name: str) -> bool:
    owner = table.schema.lower() or "main"  # what SQLite calls its only schema
    return table.name.lower() == name.lower() and (schema is None or schema.lower() == owner)


def ambiguous(name: str, connector: str, found: Sequence[TableInfo]) -> ConnectorError:
    names = ", ".join(info.table.qualified for info in found)
    return ConnectorError(
        f"{connector}: several tables are named {shorten(name)!r}: {names}",
        kind="bad_request",
        connector=connector,
        hint="use the qualified name",
    )


def unknown(name: str, connector: str, tables: Sequence[TableInfo]) -> ConnectorError:
    near = nearest(split_name(name)[-1], tables)
    return ConnectorError(
        f"{connector}: there is no table {shorten(name)!r}",
        kind="not_found",
        connector=connector,
        hint=f"did you mean {' or '.join(near)}?" if near else "list the tables to see their names",
    )


def nearest(name: str, tables: Sequence[TableInfo]) -> list[str]:
    """The most similar table names, qualified, best first."""
    from rapidfuzz import fuzz, process

    choices = {info.table.qualified: info.table.name.lower() for info in tables}
    hits = process.extract(
        name.lower(), choices, scorer=fuzz.WRatio, limit=NEAREST, score_cutoff=LEAST_LIKENESS
    )
    return [hit[2] for hit in hits]
