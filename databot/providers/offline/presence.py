"""Presence: filters by what is there or not: "customers without orders", "alarms not cleared", "never sold"."""

from collections.abc import Sequence

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.joins import graph
from databot.providers.offline.question import Filter, Missing, Related
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import Roles


def states(
    reading: Reading, roles: Roles, database: Database, tables: set[str]
) -> list[tuple[int, Filter]]:
    """In "alarms not cleared" those without a `cleared_at`; a time that is asked about is no state."""
    found: list[tuple[int, Filter]] = []
    if not reading.states or reading.periods or reading.has("grain", "latest", "oldest"):
        return found
    for items, has in ((roles.free, True), (roles.negated, False)):
        for item in items:
            own = [t.ref for t in item.columns if t.table in tables and not item.whole]
            ref = next((ref for ref in own if database.column(ref).kind == "time"), None)
            if ref and not item.names_table:
                found.append((item.at, Missing(column=ref, negated=has)))
    return found


def _own_key(item: Item, subject: str, database: Database) -> Missing | None:
    """In "orders without a customer" the subject's own key to that table has no value."""
    for step in graph(database).steps.get(subject, ()):
        if step.parent in item.tables:
            return Missing(column=ColumnRef(table=subject, column=step.pairs[0][0]))
    return None


def _unused(database: Database, subject: str) -> Related | None:
    """What "never sold" means: no row of the largest table that points at the subject."""
    steps = graph(database).steps
    children = [name for name in steps if any(step.parent == subject for step in steps[name])]
    largest = max(children, key=lambda name: database.by_name[name].rows or 0, default=None)
    return Related(table=largest, negated=True) if largest else None


def _above(item: Item, subject: str, database: Database) -> bool:
    """Whether rows of the subject point at what the noun names: then it only says more about them."""
    return bool(set(item.tables) & graph(database).paths(subject).keys())


def related(
    reading: Reading, roles: Roles, database: Database, subject: str
) -> list[tuple[int, Filter]]:
    """Filters such as "customers without orders" and "customers with orders"."""
    if not subject:
        return []
    edges = graph(database)
    unused = _unused(database, subject) if reading.has("unused") else None
    children = [
        name for name, steps in edges.steps.items() if any(step.parent == subject for step in steps)
    ]
    found: list[tuple[int, Filter]] = [(-1, unused)] if unused else []
    pairs: Sequence[tuple[Sequence[Item], bool]] = (
        (roles.without, True),
        (roles.negated, True),
        (roles.free, False),
    )
    compared = {one.about.at for one in roles.comparisons if one.about}
    for items, negated in pairs:
        for item in (item for item in items if item.at not in compared):
            own = _own_key(item, subject, database) if negated else None
            if own:
                found.append((item.at, own))
                continue
            near = [
                (len(edges.paths(c)[t]), c)
                for c in children
                for t in item.tables
                if t in edges.paths(c)
            ]
            table = min(near)[1] if near and subject not in item.tables else None
            if (
                item.names_table
                and table
                and not (negated is False and _above(item, subject, database))
            ):
                found.append((item.at, Related(table=table, negated=negated)))
    return found
