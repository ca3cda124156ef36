"""Compounds: two nouns side by side that are one, where the first says whose the second is: `product category`."""

from dataclasses import replace

from databot.providers.offline.catalog import Database
from databot.providers.offline.joins import graph
from databot.providers.offline.names import Target
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import MONEY_VERBS


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
