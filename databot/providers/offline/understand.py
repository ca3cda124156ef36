"""Understanding: from a reading to a `Question` with the values still to be found.

Nothing is guessed silently. What cannot be placed is a `Problem`; where the words leave a choice, the choice is noted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from databot.providers.offline.asked import LABEL_KINDS, Asked, largest
from databot.providers.offline.assignment import assign
from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.compounds import merged, worded
from databot.providers.offline.draft import Draft, Problem, Strange
from databot.providers.offline.filters import filters_of, time_column
from databot.providers.offline.grains import GRAINS
from databot.providers.offline.joins import graph
from databot.providers.offline.limits import unused
from databot.providers.offline.measures import (
    Chosen,
    average_count,
    nearest_column,
    numeric_column,
)
from databot.providers.offline.output import with_output
from databot.providers.offline.plan import group_name
from databot.providers.offline.prose import noun
from databot.providers.offline.question import (
    ByColumn,
    ByEntity,
    ByTime,
    During,
    Grain,
    Group,
    Order,
    Question,
)
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import DEFAULT_RANKS, Roles, function_of
from databot.providers.offline.shapes import PAGE, shaped


def draft(reading: Reading, database: Database, context: Question | None) -> Draft | Problem:
    """What the items mean; `context` is the question before, whose tables decide between columns of one name."""
    reading = merged(worded(reading, database), database)
    near = {context.table} if context else set[str]()
    measured = context.measure.table if context and context.measure else ""
    roles = assign(reading, _numeric(reading, database))
    numbers = Asked(reading=reading, roles=roles, database=database).numbers()
    if len(numbers) > 1:
        named = " and ".join(f"“{item.text}”" for item in numbers)
        return Problem(reason=f"I work out one number at a time, and {named} are several")
    if roles.lost:
        return Problem(reason=f"I do not know what to do with “{_shown(roles.lost[0])}”")
    return _Builder(
        reading=reading, roles=roles, database=database, context=near, measured=measured
    ).build()


def _shown(item: Item) -> str:
    return item.text or {"cmp": f"{item.argument} …"}.get(item.name, item.name)


def _numeric(reading: Reading, database: Database) -> frozenset[int]:
    return frozenset(
        item.at
        for item in reading.nouns
        if (item.money and not item.names_table)
        or (not item.names_table and numeric_column(item, database, ()) is not None)
        or (
            item.money
            and reading.has("sum", "avg", "min", "max", "top", "bottom", "by", "grain")
            and not reading.has("count")
        )
    )


@dataclass(slots=True, kw_only=True)
class _Builder:
    """Puts a draft together, part by part."""

    reading: Reading
    roles: Roles
    database: Database
    context: set[str]
    measured: str

    @property
    def _asked(self) -> Asked:
        return Asked(reading=self.reading, roles=self.roles, database=self.database)

    def build(self) -> Draft | Problem:
        subject = self._subject()
        near = {subject} if subject else self.context
        groups = self._groups(near)
        averaged = self._asked.counts_per_group(subject)
        chosen = (
            self._average(subject, groups)
            if averaged
            else self._asked.measure(subject, near, groups)
        )
        if isinstance(chosen, str):
            return Problem(reason=chosen)
        if subject == "" and chosen is not None:
            subject = chosen.measure.table
            near = {subject}
        more = () if averaged else self._asked.more(chosen)
        if isinstance(more, str):
            return Problem(reason=more)
        lost = unused(self._asked, subject, len(groups), chosen)
        if lost:
            return Problem(reason=lost)
        told = (self.reading.note, chosen.note if chosen else "")
        notes = tuple(note for note in told if note)
        made = filters_of(
            self.reading,
            self.roles,
            self.database,
            subject,
            near,
            chosen.measure.table if chosen else "" if subject else self.measured,
        )
        if isinstance(made, str):
            return Problem(reason=made)
        base = Draft(
            reading=self.reading,
            subject=subject,
            function=function_of(self.reading),
            measure=chosen.measure if chosen else None,
            more=more,
            groups=() if averaged else groups,
            filters=made.filters,
            notes=notes,
            strange=self._strange(),
            share=self.reading.has("share"),
        )
        timed = base if averaged else self._with_grain(base, subject)
        if isinstance(timed, Problem):
            return timed
        return self._shaped(with_output(timed), made.used, near)

    def _average(self, subject: str, groups: tuple[Group, ...]) -> Chosen | str:
        """Of "average tickets per day": the count, divided by the number of days."""
        marks = self.reading.marks("grain")
        if marks:
            by_time = self._by_time(subject, GRAINS[marks[0].argument], marks[0].argument)
            groups = (*groups, by_time) if by_time else groups
        if len(groups) != 1:
            return (
                "I average a count over one thing; say which, such as “per customer” or “per day”"
            )
        called = group_name(groups[0])
        return average_count(subject, groups[0], called, self.database)

    # -- what it is about

    def _subject(self) -> str:
        roles = self.roles
        first = [roles.target] if roles.target else []
        for item in [*first, *roles.free]:
            if item.names_table:
                return largest(self.database, item.tables)
        if self.reading.has("count") or roles.target:
            found = next((item for item in roles.measures if item.names_table), None)
            if found:
                return largest(self.database, found.tables)
        for item in [*first, *roles.free, *roles.measures]:
            if item.name:  # joined with the table it belongs to
                return item.name
        return self._owner([*first, *roles.free, *roles.measures])

    def _owner(self, items: Sequence[Item]) -> str:
        """The table of the first column that is named, the one being talked of where it has such a column."""
        for item in items:
            refs = [target for target in item.columns if target.weight == item.columns[0].weight]
            if item.money and not refs:
                continue
            talked = [target.table for target in item.columns if target.table in self.context]
            if talked:
                return talked[0]
            if refs:
                return largest(self.database, [target.table for target in refs])
        return ""

    # -- groups

    def _groups(self, near: set[str]) -> tuple[Group, ...]:
        items = list(self.roles.groups)
        if self.roles.target and self._asked.ranks_groups:
            items.insert(0, self.roles.target)
        found = (self._group(item, near) for item in items)
        return tuple(dict.fromkeys(group for group in found if group))

    def _group(self, item: Item, near: set[str]) -> Group | None:
        if item.names_table:
            return self._things(largest(self.database, item.tables))
        tables = near | {item.name} if item.name else near
        ref = nearest_column(item, self.database, tables, LABEL_KINDS)
        return ByColumn(column=ref) if ref else None

    def _things(self, table: str) -> Group:
        """Rows by their name; "the most common diagnosis" is a name that many rows have."""
        found = self.database.by_name[table]
        below = any(step.parent == table for s in graph(self.database).steps.values() for step in s)
        if self.reading.has("frequent") and found.labels and not below:
            return ByColumn(column=ColumnRef(table=table, column=found.labels[0].name))
        return ByEntity(table=table)

    # -- what form it takes

    def _strange(self) -> tuple[Strange, ...]:
        return tuple(
            Strange(
                text=item.text,
                at=item.at,
                negated=negated,
                quoted=item.kind == "value",
                hints=tuple(target.ref for target in hint.columns)
                if hint and not hint.names_table
                else (),
            )
            for item, negated, hint in self.roles.strange
        )

    def _with_grain(self, base: Draft, subject: str) -> Draft | Problem:
        marks = self.reading.marks("grain")
        if not marks:
            return self._with_each(base)
        grain = GRAINS[marks[0].argument]
        if any(GRAINS[mark.argument] != grain for mark in marks):
            return Problem(reason="I cut time one way at a time")
        table = base.measure.table if base.measure else subject
        if not table:
            return replace(base, grain=grain)
        group = self._by_time(table, grain, marks[0].argument)
        if group is None:
            things = noun(self.database.by_name[table].short)
            return Problem(reason=f"I find no date or time of {things} to go by {grain} with")
        notes = base.notes
        if isinstance(group, ByColumn):
            notes = (*notes, f"{grain} is the column {group.column.table}.{group.column.column}")
        return replace(base, grain=grain, groups=(group, *base.groups), notes=notes)

    def _with_each(self, base: Draft) -> Draft:
        """Figures "in 2024 and 2025" are told year by year."""
        during = [one for one in base.filters if isinstance(one, During) and one.period.each]
        counted = base.measure or base.function == "count"
        if not during or not counted or base.order or during[0].period.each is None:
            return base
        by_time = ByTime(column=during[0].column, grain=during[0].period.each)
        return replace(base, groups=(by_time, *base.groups))

    def _by_time(self, table: str, grain: Grain, word: str) -> Group | None:
        """The times of the table cut so; a column that is called `year` is the year that is meant."""
        named = next((c for c in self.database.by_name[table].columns if c.words == (word,)), None)
        if named and named.kind in {"number", "text"}:
            return ByColumn(column=ColumnRef(table=table, column=named.name))
        column = time_column(self.database, table, self.roles)
        return ByTime(column=column, grain=grain) if column else None

    def _shaped(self, base: Draft, used: frozenset[int], near: set[str]) -> Draft | Problem:
        ordered = replace(base, order=self._order(base))
        return shaped(ordered, self.roles, self.database, used, near)

    def _order(self, base: Draft) -> Order | None:
        ranks = self.reading.marks("top", "bottom")
        if ranks:
            descending = ranks[0].name == "top"
            limit = int(ranks[0].argument) if ranks[0].argument else self._ranks()
            return Order(descending=descending, limit=limit, column=self._asked.row_order())
        first = self.reading.marks("first")
        if self.roles.sorts:
            return self._sorted(base, int(first[0].argument) if first else 0)
        return Order(descending=bool(base.groups), limit=int(first[0].argument)) if first else None

    def _sorted(self, base: Draft, limit: int) -> Order:
        """ORDER BY as it was asked for: numbers and times from the highest down unless it is said otherwise."""
        near = {base.subject} if base.subject else self.context
        ref = nearest_column(self.roles.sorts[0], self.database, near, LABEL_KINDS)
        rising = ref is not None and self.database.column(ref).kind == "text"
        descending = self.reading.has("descending") or not (rising or self.reading.has("ascending"))
        column = None if base.groups or base.measure else ref
        return Order(
            descending=descending, limit=limit or (0 if base.groups else PAGE), column=column
        )

    def _ranks(self) -> int:
        """How many a ranking without a number means: one for a singular."""
        target = self.roles.target
        if target is None:
            return 1 if self.reading.has("grain") else 0
        return DEFAULT_RANKS if target.plural else 1
