"""Understanding: from a reading to a `Question` with the values still to be found.

Nothing is guessed silently. What cannot be placed is a `Problem`; where the words leave a choice, the choice is noted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from databot.providers.offline.asked import LABEL_KINDS, Asked, largest
from databot.providers.offline.catalog import Database
from databot.providers.offline.draft import Draft, Problem, Strange
from databot.providers.offline.filters import filters_of, time_column
from databot.providers.offline.limits import odd_marks
from databot.providers.offline.measures import Chosen, nearest_column, numeric_column
from databot.providers.offline.question import (
    ByColumn,
    ByEntity,
    ByTime,
    Grain,
    Group,
    Order,
    Question,
)
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import DEFAULT_RANKS, Roles, assign, function_of, merged
from databot.providers.offline.shapes import PAGE, shaped

_GRAINS: dict[str, Grain] = {
    "hour": "hour",
    "hourly": "hour",
    "day": "day",
    "date": "day",
    "daily": "day",
    "week": "week",
    "weekly": "week",
    "month": "month",
    "monthly": "month",
    "quarter": "quarter",
    "quarterly": "quarter",
    "year": "year",
    "yearly": "year",
    "annual": "year",
    "annually": "year",
}
_MARKS = {
    "bar": "bar",
    "column": "bar",
    "line": "line",
    "area": "area",
    "scatter": "point",
    "pie": "arc",
}
_FORMATS = {
    "csv": "csv",
    "excel": "xlsx",
    "xlsx": "xlsx",
    "spreadsheet": "xlsx",
    "parquet": "parquet",
}


def mark_of(reading: Reading) -> str:
    """The mark of the chart that is named, if one is."""
    named = (_MARKS[item.argument] for item in reading.marks("chart") if item.argument)
    return next(named, "")


def format_of(reading: Reading) -> str:
    """The file format that is named; CSV otherwise."""
    named = (_FORMATS[item.argument] for item in reading.marks("export") if item.argument)
    return next(named, "csv")


def draft(reading: Reading, database: Database, context: Question | None) -> Draft | Problem:
    """What the items mean; `context` is the question before, whose tables decide between columns of one name."""
    reading = merged(reading, database)
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
        chosen = self._asked.measure(subject, near, groups)
        if subject == "" and chosen is not None:
            subject = chosen.measure.table
            near = {subject}
        odd = self._odd(groups, chosen)
        if odd:
            return Problem(reason=odd)
        notes = (chosen.note,) if chosen and chosen.note else ()
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
            groups=groups,
            filters=made.filters,
            notes=(*notes, *made.notes),
            strange=self._strange(),
            share=self.reading.has("share"),
        )
        base = self._with_grain(base, subject)
        base = self._with_output(base)
        return self._shaped(base, made.used, near)

    def _odd(self, groups: Sequence[Group], chosen: Chosen | None) -> str:
        """What was said and would be lost: then there is no answer rather than a wrong one."""
        wanted = len(self.roles.groups) + int(bool(self.roles.target) and self._ranks_groups())
        if len(groups) < wanted:
            return f"I cannot group by “{' and '.join(item.text for item in self.roles.groups)}”"
        numbers = self._asked.numbers()
        if numbers and chosen is None and not self._asked.row_order():
            return f"I do not know what to do with “{numbers[0].text}” there"
        if self.reading.has("share") and numbers:
            return "I work out shares of rows, not of amounts"
        if self.reading.has("latest", "oldest") and (groups or chosen or self.reading.has("count")):
            return (
                "I show the latest rows, and cannot put that together with the rest of the question"
            )
        return odd_marks(self.reading, ranked=self.roles.target is not None)

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
        if self.roles.target and self._ranks_groups():
            items.insert(0, self.roles.target)
        found = (self._group(item, near) for item in items)
        return tuple(dict.fromkeys(group for group in found if group))

    def _ranks_groups(self) -> bool:
        return self.reading.has("top", "bottom") and not self._asked.row_order()

    def _group(self, item: Item, near: set[str]) -> Group | None:
        if item.names_table:
            return ByEntity(table=largest(self.database, item.tables))
        tables = near | {item.name} if item.name else near
        ref = nearest_column(item, self.database, tables, LABEL_KINDS)
        return ByColumn(column=ref) if ref else None

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

    def _with_grain(self, base: Draft, subject: str) -> Draft:
        marks = self.reading.marks("grain")
        if not marks:
            return base
        grain = _GRAINS[marks[0].argument]
        table = base.measure.table if base.measure else subject
        column = time_column(self.database, table, self.roles) if table else None
        if column is None:
            return replace(base, grain=grain)
        by_time = ByTime(column=column.ref, grain=grain)
        notes = (*base.notes, column.note) if column.note else base.notes
        return replace(
            base, grain=grain, groups=(by_time, *base.groups), notes=tuple(dict.fromkeys(notes))
        )

    def _with_output(self, base: Draft) -> Draft:
        if self.reading.has("chart"):
            return replace(base, output="chart", mark=mark_of(self.reading))
        if self.reading.has("export"):
            return replace(base, output="export", format=format_of(self.reading))
        return base

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
