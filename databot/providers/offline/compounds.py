"""Compounds: two nouns side by side that are one, where the first says whose the second is: `product category`."""

from dataclasses import replace

from databot.providers.offline.assignment import is_between
from databot.providers.offline.catalog import Database
from databot.providers.offline.joins import graph
from databot.providers.offline.kinds import ColumnKind
from databot.providers.offline.names import Target
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import MONEY_VERBS


def worded(reading: Reading, database: Database) -> Reading:
    """In "status is shipped" the last is a value, though a `shipped_at` could be called so."""
    items: list[Item] = []
    for item in reading.items:
        before = next((one for one in reversed(items) if not is_between(one)), None)
        text = before is not None and not before.names_table and _is(before, "text", database)
        part = item.kind == "noun" and not item.whole and _is(item, "time", database)
        items.append(replace(item, kind="unknown", targets=()) if text and part else item)
    return replace(reading, items=tuple(items))


def _is(item: Item, kind: ColumnKind, database: Database) -> bool:
    """Whether all columns that the noun may name are of the kind."""
    kinds = {database.column(target.ref).kind for target in item.columns}
    return kinds == {kind}


def merged(reading: Reading, database: Database) -> Reading:
    """Two nouns side by side are one where the first says whose the second is: `product category`."""
    items: list[Item] = []
    for item in reading.items:
        last = items[-1] if items else None
        joined = _joined(last, item, database) if last else None
        if joined:
            items[-1] = joined
        else:
            items.append(item)
    return replace(reading, items=tuple(items))


def _joined(first: Item, second: Item, database: Database) -> Item | None:
    if first.kind != "noun" or second.kind != "noun" or first.end != second.at or not first.tables:
        return None
    spoken = second.text.casefold() in MONEY_VERBS
    if second.money and not spoken and not second.columns and not second.tables:
        return replace(second, targets=(), text=f"{first.text} {second.text}", name=first.tables[0])
    own = tuple(
        replace(target, weight=2.0) for target in second.columns if target.table in first.tables
    )
    if own:
        return replace(second, targets=own, money=False, name=first.tables[0])
    paths = graph(database).paths(first.tables[0])
    parents = tuple(Target(table=name, weight=2.0) for name in second.tables if name in paths)
    return replace(second, targets=parents) if parents else None
