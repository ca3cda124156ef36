"""Measures: which number of which table a word like "revenue" or "price" asks for.

Where the words leave a choice the definition that was taken is returned with it, to be told in the answer.
"""

from collections.abc import Collection, Iterable, Mapping, Sized
from dataclasses import dataclass, replace

from databot.providers.offline.catalog import Column, ColumnRef, Database, Table
from databot.providers.offline.joins import Graph, graph
from databot.providers.offline.lexicon import LEVELS, MONEY_COLUMNS, PRICES, QUANTITIES
from databot.providers.offline.prose import noun
from databot.providers.offline.question import Function, Group, Measure
from databot.providers.offline.reading import Item
from databot.providers.offline.words import readable, singular

_TIMES = " \N{MULTIPLICATION SIGN} "
_PREFIX: dict[Function, str] = {
    "count": "number_of_",
    "sum": "total_",
    "avg": "average_",
    "min": "lowest_",
    "max": "highest_",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A measure, and in words how it is defined where that is not plain."""

    measure: Measure
    note: str = ""


def rows_of(table: Table, name: str = "") -> Measure:
    """The number of rows of a table."""
    return Measure(table=table.name, function="count", name=name or slug(noun(table.short)))


def slug(name: str) -> str:
    """A heading for a column of a result."""
    return "_".join(readable(name).split()) or "value"


def of_column(database: Database, ref: ColumnRef, function: Function | None) -> Chosen:
    """A numeric column with a function; without one it is summed, or averaged if a sum says nothing."""
    column = database.column(ref)
    used = function or ("avg" if set(column.words) & LEVELS else "sum")
    name = slug(column.name).removeprefix(_PREFIX[used])
    measure = Measure(table=ref.table, function=used, columns=(ref,), name=f"{_PREFIX[used]}{name}")
    note = (
        f"{readable(column.name)} is averaged, not summed"
        if function is None and used == "avg"
        else ""
    )
    return Chosen(measure=measure, note=note)


def other(measure: Measure, function: Function) -> Measure:
    """The same number with another function."""
    bare = measure.name.removeprefix(_PREFIX[measure.function])
    return replace(measure, function=function, name=f"{_PREFIX[function]}{bare}")


def average_count(things: str, group: Group, called: str, database: Database) -> Chosen:
    """How many rows of a table there are for each group, on average: 500 alarms of 60 devices are 8.33."""
    many, each = noun(database.by_name[things].short), readable(called)
    name = f"average_{slug(many)}_per_{slug(each)}"
    note = f"each {each} with at least one of the {many} is counted, others are not"
    return Chosen(measure=Measure(table=things, function="count", per=group, name=name), note=note)


def money(
    database: Database, near: Collection[str], function: Function | None, word: str
) -> Chosen | None:
    """What was earned: an amount that every table of `near` can be reached from, else quantity times price.

    `None` when no such number is found.
    """
    edges = graph(database)
    chosen = _amount(database, edges, near, word) or _product(database, edges, near)
    if chosen is None:
        return None
    used: Function = function or "sum"
    name = f"{'' if used == 'sum' else _PREFIX[used]}{slug(money_noun(word))}"
    return Chosen(
        measure=Measure(table=chosen[0].table, function=used, columns=chosen, name=name, word=word),
        note=_definition(word, chosen, used, database),
    )


def money_noun(word: str) -> str:
    """What money asked for by this word is called."""
    found = word.casefold()
    return {
        "sales": "sales",
        "rev": "revenue",
        "spent": "spending",
        "spend": "spending",
        "sold": "sales",
        "sell": "sales",
    }.get(found, singular(found))


def _definition(
    word: str, columns: tuple[ColumnRef, ...], function: Function, database: Database
) -> str:
    names = [ref.column for ref in columns]
    if len(columns) == 1 and readable(names[0]) == word.casefold():
        return ""
    table = database.by_name[columns[0].table].short
    verb = {"sum": "the sum of", "avg": "the average of", "min": "the lowest", "max": "the highest"}
    spelt = f"{table}.{_TIMES.join(names)}"
    discount = next(
        (c.name for c in database.by_name[columns[0].table].columns if "discount" in c.words), ""
    )
    before = f", before {discount}" if discount and len(columns) == 2 else ""
    return f"{word.lower()} here is {verb.get(function, function)} {spelt}{before}"


def _reaching(database: Database, edges: Graph, near: Collection[str]) -> list[tuple[int, Table]]:
    """The tables from which all of `near` can be reached, nearest first."""
    found: list[tuple[int, Table]] = []
    for table in database.tables:
        paths = edges.paths(table.name)
        if all(name in paths for name in near):
            found.append((sum(len(paths[name]) for name in near), table))
    return sorted(found, key=lambda pair: pair[0])


def _amount(
    database: Database, edges: Graph, near: Collection[str], word: str
) -> tuple[ColumnRef, ...] | None:
    wanted = (singular(word), *MONEY_COLUMNS)
    best: tuple[int, int, ColumnRef] | None = None
    for distance, table in _reaching(database, edges, near):
        columns = {
            " ".join(c.words): c for c in table.columns if c.kind == "number" and not c.is_key
        }
        for rank, name in enumerate(wanted):
            column = columns.get(name)
            if column and (best is None or (distance, rank) < best[:2]):
                best = (distance, rank, ColumnRef(table=table.name, column=column.name))
    return (best[2],) if best else None


def _product(
    database: Database, edges: Graph, near: Collection[str]
) -> tuple[ColumnRef, ...] | None:
    for _, table in _reaching(database, edges, near):
        quantity, price = _first(table, QUANTITIES), _first(table, PRICES)
        if quantity and price:
            names = (quantity.name, price.name)
            return tuple(ColumnRef(table=table.name, column=name) for name in names)
    return None


def _first(table: Table, names: Iterable[str]) -> Column | None:
    columns = {" ".join(c.words): c for c in table.columns if c.kind == "number" and not c.is_key}
    return next((columns[name] for name in names if name in columns), None)


def sold(database: Database, target: str) -> Chosen | None:
    """How much of each row of `target` was sold: the quantity on the nearest table that points at it."""
    edges = graph(database)
    for distance, table in _reaching(database, edges, {target}):
        quantity = _first(table, QUANTITIES[:3]) if distance else None
        if quantity:
            ref = ColumnRef(table=table.name, column=quantity.name)
            measure = Measure(
                table=table.name, function="sum", columns=(ref,), name=f"{slug(quantity.name)}_sold"
            )
            return Chosen(measure=measure, note=f"sold is the sum of {table.short}.{quantity.name}")
    return most_rows(database, target)


def most_rows(database: Database, target: str) -> Chosen | None:
    """How many rows of the nearest table point at each row of `target`; the largest of several."""
    near = [(d, t) for d, t in _reaching(database, graph(database), {target}) if d == 1]
    if not near:
        return None
    table = max(near, key=lambda pair: pair[1].rows or 0)[1]
    return Chosen(measure=rows_of(table), note=f"ranked by the number of {noun(table.short)}")


def price_of(table: Table) -> ColumnRef | None:
    """The column that makes a row expensive."""
    column = _first(
        table,
        ("price", "preis", "unit price", "list price", "cost", "fee", "amount", "total", "rate"),
    )
    ends = (
        c for c in table.columns if c.kind == "number" and c.words[-1:] in {("price",), ("cost",)}
    )
    found = column or next(ends, None)
    return ColumnRef(table=table.name, column=found.name) if found else None


def numeric_column(item: Item, database: Database, near: Collection[str]) -> ColumnRef | None:
    """The numeric column a noun names, the one nearest to the tables of `near`."""
    return nearest_column(item, database, near, {"number"})


def nearest_column(
    item: Item, database: Database, near: Collection[str], kinds: Collection[str]
) -> ColumnRef | None:
    """The column of one of these kinds that a noun names: best named, then nearest to the tables of `near`."""
    edges = graph(database)
    best: tuple[float, int, int] | None = None
    found: ColumnRef | None = None
    reach = [edges.paths(name) for name in near]
    for position, target in enumerate(item.columns):
        column = database.column(target.ref)
        if column.kind not in kinds or (column.is_key and column.kind == "number"):
            continue
        distance = min((_distance(edges, paths, target.table, near) for paths in reach), default=0)
        rank = (-target.weight if distance < 9 else 9.0, distance, position)
        if distance == 0:
            rank = (-target.weight - 0.35, 0, position)
        if best is None or rank < best:
            best, found = rank, target.ref
    return found


def _distance(edges: Graph, paths: Mapping[str, Sized], table: str, near: Collection[str]) -> int:
    """Steps up from the near tables; a table that only points at them is farther, a stranger farthest."""
    if table in paths:
        return len(paths[table])
    up = edges.paths(table)
    return min((4 + len(up[name]) for name in near if name in up), default=9)
