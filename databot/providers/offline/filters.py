"""Filters: the periods, comparisons and yes/no words of a question, each at the column it means."""

from dataclasses import dataclass

from databot.providers.offline.catalog import Column, ColumnRef, Database, Table
from databot.providers.offline.joins import graph
from databot.providers.offline.lexicon import MONEY_COLUMNS
from databot.providers.offline.measures import nearest_column
from databot.providers.offline.presence import related, states
from databot.providers.offline.prose import noun
from databot.providers.offline.question import (
    Compare,
    During,
    Filter,
    Flag,
    Missing,
    OneOf,
    Related,
    Totalled,
)
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import Comparison, Roles
from databot.providers.offline.totals import added_up, counted

_EVENTS = (
    "date",
    "time",
    "timestamp",
    "datetime",
    "ts",
    "created",
    "occurred",
    "happened",
    "placed",
    "recorded",
    "started",
    "at",
)
LIKELY = 2
"""From this rank on a time column may well be about something else than when the rows came to be."""
_UNLIKELY = {
    "birth",
    "birthday",
    "dob",
    "updated",
    "modified",
    "deleted",
    "changed",
    "expire",
    "expiry",
    "end",
    "ended",
    "due",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The filters, and the positions of the nouns they used up."""

    filters: tuple[Filter, ...]
    used: frozenset[int]


def filters_of(
    reading: Reading, roles: Roles, database: Database, subject: str, near: set[str], measured: str
) -> Filters | str:
    """Every filter but the values, which must be looked up; or why one cannot be placed."""
    unclear = _left_out(roles, database, measured or subject)
    if unclear:
        return unclear
    timed = _periods(reading, roles, database, measured or _whose(roles, subject, near))
    compared = _comparisons(roles, database, subject, near)
    extra = [*_flags(roles, database, near), *related(reading, roles, database, subject)]
    missing = _missing(roles, database, near)
    extra += states(reading, roles, database, {subject, measured})
    for problem in (timed, compared, missing):
        if isinstance(problem, str):
            return problem
    totalled = not isinstance(compared, str) and any(
        isinstance(one, Totalled) for one in compared.filters
    )
    if reading.periods and (totalled or any(isinstance(one, Related) for _, one in extra)):
        return "I cannot tell which of the two the time is about"
    parts = [part for part in (timed, compared, missing) if not isinstance(part, str)]
    return Filters(
        filters=(*(one for part in parts for one in part.filters), *(one for _, one in extra)),
        used=frozenset().union(*(part.used for part in parts), {at for at, _ in extra}),
    )


def _left_out(roles: Roles, database: Database, table: str) -> str:
    """In "without cancelled orders" orders are what is cancelled; that is clear only of what the rows point at."""
    reached = graph(database).paths(table).keys() if table else set[str]()
    for item in list(roles.without):
        described = any(no and one.end == item.at for one, no, _ in roles.strange)
        if described and not reached & set(item.tables):
            return f"I cannot tell which {item.text} are to be left out"
        if described:
            roles.without.remove(item)
            roles.free.append(item)
    return ""


def _periods(reading: Reading, roles: Roles, database: Database, table: str) -> Filters | str:
    if not reading.periods or not table:
        return Filters(filters=(), used=frozenset())
    column = time_column(database, table, roles)
    if column is None:
        return f"I find no date or time of {noun(database.by_name[table].short)} to go by"
    return Filters(
        filters=tuple(During(column=column, period=period) for period in reading.periods),
        used=frozenset(
            item.at
            for item in _time_nouns(roles, database)
            if nearest_column(item, database, {table}, ("time",)) == column
        ),
    )


def _comparisons(roles: Roles, database: Database, subject: str, near: set[str]) -> Filters | str:
    found: list[Filter] = []
    for comparison in roles.comparisons:
        compared = _compared(comparison, database, subject, near)
        if isinstance(compared, str):
            return compared
        found.append(compared)
    used = frozenset(one.about.at for one in roles.comparisons if one.about)
    return Filters(filters=tuple(found), used=used)


def _missing(roles: Roles, database: Database, near: set[str]) -> Filters | str:
    found: list[Filter] = []
    columns = [item for item in roles.without if not item.names_table]
    for item in [*roles.missing, *columns]:
        ref = nearest_column(item, database, near, ("text", "number", "time", "bool", "other"))
        if ref is None:
            return f"I do not know which column “{item.text}” is"
        found.append(Missing(column=ref))
    used = frozenset(item.at for item in [*roles.missing, *columns])
    return Filters(filters=tuple(found), used=used)


def _whose(roles: Roles, subject: str, near: set[str]) -> str:
    """Whose time a period is about, when nothing is measured: that of the things counted or shown."""
    for item in roles.measures:
        if item.names_table:
            return item.tables[0]
    return subject or next(iter(sorted(near)), "")


def times_of(table: Table) -> tuple[Column, ...]:
    """The time columns of a table, the likeliest "when" first."""
    found = [column for column in table.columns if column.kind == "time"]
    return tuple(sorted(found, key=lambda column: _likelihood(column, table)))


def _likelihood(column: Column, table: Table) -> tuple[int, int]:
    words = column.words
    position = table.columns.index(column)
    if _unlikely(column):
        return 3, position
    first = words[0] if words else ""
    if any(first.startswith(word) for word in table.words):
        return 0, position  # order_date and ordered_at of orders
    if first in _EVENTS:
        return 1, position
    return LIKELY, position


def time_column(database: Database, table: str, roles: Roles) -> ColumnRef | None:
    """The column that says when: the one named, else the table's own, else that of the nearest parent.

    A parent's birthday or last change says nothing about when its children were.
    """
    for item in _time_nouns(roles, database):
        ref = nearest_column(item, database, {table}, ("time",))
        if ref:
            return ref if ref.table in graph(database).paths(table) else None
    return when(database, table)


def when(database: Database, table: str) -> ColumnRef | None:
    """The column that says when rows of the table were, where none is named."""
    for name in graph(database).paths(table):
        columns = times_of(database.by_name[name])
        if columns and (name == table or not _unlikely(columns[0])):
            return ColumnRef(table=name, column=columns[0].name)
    return None


def is_plain_time(ref: ColumnRef, table: str, database: Database) -> bool:
    """Whether there is no choice about what time means: `ordered_at` is the only time of orders."""
    times = times_of(database.by_name[ref.table])
    own = ref.table == table and len(times) == 1
    return own and _likelihood(times[0], database.by_name[ref.table])[0] < LIKELY


def _unlikely(column: Column) -> bool:
    return bool(set(column.words) & _UNLIKELY)


def _time_nouns(roles: Roles, database: Database) -> list[Item]:
    return [
        item
        for item in [*roles.free, *roles.groups]
        if not item.names_table and nearest_column(item, database, (), ("time",)) is not None
    ]


def _compared(
    comparison: Comparison, database: Database, subject: str, near: set[str]
) -> Compare | OneOf | Totalled | str:
    item = comparison.about
    operator, value = comparison.operator, comparison.value
    if item is not None and not item.names_table:
        found = _with_column(comparison, item, database, near)
        if found or not item.money:
            return found or f"{item.text} is not a number I could compare with {value}"
    if item is not None and operator == "=" and item.names_table and not comparison.counted:
        key = database.by_name[item.tables[0]].key
        if key and key.kind == "number":
            ref = ColumnRef(table=item.tables[0], column=key.name)
            return Compare(column=ref, operator="=", value=value, also=comparison.also)
    if item is not None and item.names_table and subject and item.tables[0] != subject:
        found = counted(comparison, subject, database)
        return found or f"I cannot filter by how many {item.text} something has"
    ref = _size_column(database, subject or next(iter(sorted(near)), ""))
    if ref is None:
        total = added_up(comparison, subject, database)
        return total[0] if total else f"I do not know what is to be compared with {value}"
    return Compare(column=ref, operator=operator, value=value)


def _with_column(
    comparison: Comparison, item: Item, database: Database, near: set[str]
) -> Compare | OneOf | None:
    """The number of a column compared; a text column may equal a number, as a postcode does."""
    operator, value = comparison.operator, comparison.value
    ref = nearest_column(item, database, near, ("number",)) or _key_column(item, database, near)
    if ref:
        return Compare(column=ref, operator=operator, value=value, also=comparison.also)
    ref = nearest_column(item, database, near, ("text",))
    if ref and operator in {"=", "!="}:
        values = (value, *comparison.also)
        return OneOf(column=ref, values=values, negated=operator == "!=")
    return None


def _key_column(item: Item, database: Database, near: set[str]) -> ColumnRef | None:
    refs = [t.ref for t in item.columns if t.table in near or not near]
    return next((ref for ref in refs if database.column(ref).kind == "number"), None)


def _size_column(database: Database, table: str) -> ColumnRef | None:
    """What "over 100" is about when nothing is named: an amount, or the only number there is."""
    if table not in database.by_name:
        return None
    numbers = [c for c in database.by_name[table].columns if c.kind == "number" and not c.is_key]
    names = {" ".join(column.words): column for column in numbers}
    wanted = (*MONEY_COLUMNS, "price", "unit price", "list price", "cost")
    found = next((names[name] for name in wanted if name in names), None)
    chosen = found or (numbers[0] if len(numbers) == 1 else None)
    return ColumnRef(table=table, column=chosen.name) if chosen else None


def _flags(roles: Roles, database: Database, near: set[str]) -> list[tuple[int, Filter]]:
    found: list[tuple[int, Filter]] = []
    for items, value in ((roles.free, True), (roles.negated, False)):
        for item in items:
            ref = nearest_column(item, database, near, ("bool",)) if not item.names_table else None
            if ref:
                found.append((item.at, Flag(column=ref, value=value)))
    return found
