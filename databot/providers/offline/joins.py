"""Joins: how tables of one database hang together.

Only steps from a child row to its one parent are taken, so that a join never repeats a row and no sum or count is ever
too big. Foreign keys are the declared ones; where a table declares none, a column `customer_id` is taken to point at
`customers` if the types agree, and the answer says so.
"""

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from databot.providers.offline.catalog import Column, Database, Table

MAX_STEPS = 8
"""Joins in a row; nobody means more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From a row of `child` to the one row of `parent` where each pair of columns is equal.

    `guessed` from the names of the columns, where no foreign key is declared.
    """

    child: str
    parent: str
    pairs: tuple[tuple[str, str], ...]
    guessed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Every step there is, by child. `found` remembers paths."""

    steps: dict[str, tuple[Step, ...]]
    found: dict[str, dict[str, tuple[Step, ...]]] = field(
        default_factory=dict[str, dict[str, tuple[Step, ...]]]
    )

    def paths(self, base: str) -> dict[str, tuple[Step, ...]]:
        """The shortest way from `base` to every table it can reach, itself with no step; found once."""
        if base not in self.found:
            self.found[base] = self._search(base)
        return self.found[base]

    def _search(self, base: str) -> dict[str, tuple[Step, ...]]:
        found: dict[str, tuple[Step, ...]] = {base: ()}
        queue = deque([base])
        while queue:
            here = queue.popleft()
            if len(found[here]) == MAX_STEPS:
                continue
            for step in self.steps.get(here, ()):
                if step.parent not in found:
                    found[step.parent] = (*found[here], step)
                    queue.append(step.parent)
        return found

    def base_for(self, preferred: str, needed: Collection[str], counted: bool) -> str | None:
        """The table to start from so that all `needed` tables are reached.

        `preferred` if it can; otherwise, when rows of `preferred` are only counted (each once), the nearest table that
        reaches it and all the others. `None` when there is no such table.
        """
        if set(needed) <= self.paths(preferred).keys():
            return preferred
        if not counted:
            return None
        wanted = {preferred, *needed}
        best: tuple[int, str] | None = None
        for table in self.steps:
            paths = self.paths(table)
            if wanted <= paths.keys():
                length = sum(len(paths[name]) for name in wanted)
                best = min(best or (length, table), (length, table))
        return best[1] if best else None


@lru_cache(maxsize=16)
def graph(database: Database) -> Graph:
    """The steps of a database; remembered, because a catalog is a value."""
    tables = database.tables
    names = {table.short: table.name for table in reversed(tables)}
    names |= {table.name: table.name for table in tables}
    by_words, by_key = _by_words(tables), _by_key(tables)
    return Graph(
        steps={
            table.name: tuple(_declared(table, names)) or tuple(_guessed(table, by_words, by_key))
            for table in tables
        }
    )


def _declared(table: Table, names: dict[str, str]) -> Iterator[Step]:
    targets: dict[str, list[tuple[str, str]]] = {}
    for column in table.columns:
        if column.points_at:
            name, target = column.points_at
            parent = names.get(name) or names.get(name.rpartition(".")[2])
            if parent and parent != table.name:
                targets.setdefault(parent, []).append((column.name, target))
    for parent, pairs in targets.items():
        distinct = {target for _, target in pairs}
        # Two columns at two parent columns are one compound key; two at the same one are two keys: take the first.
        chosen = tuple(pairs) if len(distinct) == len(pairs) else (pairs[0],)
        yield Step(child=table.name, parent=parent, pairs=chosen)


def _by_words(tables: tuple[Table, ...]) -> dict[tuple[str, ...], Table]:
    found: dict[tuple[str, ...], Table] = {}
    for table in tables:
        found.setdefault(table.words, table)
    for table in tables:
        found.setdefault(table.words[-1:], table)
    return found


def _by_key(tables: tuple[Table, ...]) -> dict[tuple[str, ...], Table]:
    """The table whose declared key is called so, where there is one: `WHSE_CD` is that of the warehouses."""
    found: dict[tuple[str, ...], list[Table]] = {}
    for table in tables:
        if table.key and table.key.primary and len(table.key.words) > 1:
            found.setdefault(table.key.words, []).append(table)
    return {words: owners[0] for words, owners in found.items() if len(owners) == 1}


def _guessed(
    table: Table,
    by_words: dict[tuple[str, ...], Table],
    by_key: dict[tuple[str, ...], Table],
) -> Iterator[Step]:
    seen: set[str] = set()
    for column in table.columns:
        owner = by_key.get(column.words)
        keyed = owner and owner.key and owner.name != table.name and owner.key.kind == column.kind
        target = (
            (owner.name, owner.key.name)
            if owner and owner.key and keyed
            else _target(column, table, by_words)
        )
        if target and target[0] not in seen:
            seen.add(target[0])
            pairs = ((column.name, target[1]),)
            yield Step(child=table.name, parent=target[0], pairs=pairs, guessed=True)


def _target(
    column: Column, table: Table, by_words: dict[tuple[str, ...], Table]
) -> tuple[str, str] | None:
    if len(column.words) < 2 or column.words[-1] not in {"id", "key", "code", "no"}:
        return None
    parent = by_words.get(column.words[:-1]) or by_words.get(column.words[-2:-1])
    if parent is None or parent.name == table.name:
        return None
    same = next((other for other in parent.columns if other.words == column.words), None)
    key = same or (parent.key if column.words[-1] in {"id", "key"} else None)
    alike = key is not None and key.kind == column.kind
    return (parent.name, key.name) if key and alike else None
