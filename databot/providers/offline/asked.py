"""Asked: which number a question asks for: a count, a column with a function, or money however it is defined there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.lexicon import LABELS
from databot.providers.offline.measures import (
    Chosen,
    money,
    most_rows,
    nearest_column,
    numeric_column,
    of_column,
    other,
    price_of,
    rows_of,
    slug,
    sold,
)
from databot.providers.offline.question import ByEntity, ByTime, Function, Group, Measure
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import MONEY_VERBS, Roles, function_of, functions_of
from databot.providers.offline.words import name_parts

LABEL_KINDS = ("text", "bool", "time", "number", "other")
"""Columns that rows can be grouped by: any."""


def largest(database: Database, tables: Sequence[str]) -> str:
    """Of equally named tables the one with most rows."""
    return max(tables, key=lambda name: database.by_name[name].rows or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A reading with its roles, asked for the number it wants."""

    reading: Reading
    roles: Roles
    database: Database

    def row_order(self) -> ColumnRef | None:
        """The column that "top 5 products by price" orders by: the rows of one table by a column of their own."""
        target = self.roles.target
        if target is None or not target.names_table or not self.reading.has("top", "bottom"):
            return None
        table = self.database.by_name[largest(self.database, target.tables)]
        if self.reading.has("price"):
            return price_of(table)
        if function_of(self.reading) or not self.numbers():
            return None
        columns = self.numbers()[0].columns
        own = [t.ref for t in columns if t.table == table.name and t.weight >= 0.6]
        return next((r for r in own if self.database.column(r).kind in {"number", "time"}), None)

    @property
    def ranks_groups(self) -> bool:
        """Whether groups are ranked, not rows by a column of their own."""
        return self.reading.has("top", "bottom") and not self.row_order()

    def measure(self, subject: str, near: set[str], groups: Sequence[Group]) -> Chosen | None:
        """The number, with the definition that was taken where there was a choice; `None` when rows are wanted."""
        if self.row_order():
            return None
        function = next(iter(self.functions()), None)
        needed = {
            group.table if isinstance(group, ByEntity) else group.column.table
            for group in groups
            if not isinstance(group, ByTime)
        }
        for item in self.numbers():
            found = self._number(item, near | needed, needed, function)
            if found:
                return found
        if self.roles.target and self.reading.has("top", "bottom"):
            return self._default_rank(subject, needed)
        if function in {"sum", "avg", "min", "max"} and subject and not self.numbers():
            return self._plain(subject, needed, function)
        return None

    def functions(self) -> tuple[Function, ...]:
        """The functions named; "highest and lowest fee", with nothing to rank, are maximum and minimum."""
        named = functions_of(self.reading)
        ranks, grains = self.reading.marks("top", "bottom"), self.reading.marks("grain")
        ranked = self.roles.target is not None or self.roles.limits
        ranked = ranked or bool(grains and ranks and grains[0].at < ranks[0].at)
        if named or ranked or self.reading.has("selling", "frequent", "price"):
            return named
        ends: dict[str, Function] = {"top": "max", "bottom": "min"}
        return tuple(dict.fromkeys(ends[rank.name] for rank in ranks))

    def more(self, chosen: Chosen | None) -> tuple[Measure, ...] | str:
        """The other functions asked for, of the same number; or why they cannot be told."""
        wanted: list[Function] = [*self.functions()]
        if "count" in wanted:
            wanted.remove("count")
        if not wanted[1:]:
            return ()
        if chosen is None or chosen.measure.per or chosen.measure.function == "count":
            return "I do not see which number you want several figures of"
        return tuple(other(chosen.measure, function) for function in wanted[1:])

    def counts_per_group(self, subject: str) -> bool:
        """Whether "average tickets per day" is asked: a function over counts, not over a column."""
        functions = self.functions()
        things = next((item for item in self.roles.free if subject in item.tables), None)
        if functions[:1] != ("avg",) or self.numbers() or not subject:
            return False
        counted = self.reading.has("count") or (things is not None and things.plural)
        return counted or money(self.database, {subject}, "avg", "amount") is None

    def numbers(self) -> list[Item]:
        """The nouns that ask for a number; those that something is compared with do not."""
        compared = {one.about.at for one in self.roles.comparisons if one.about}
        measures = self.roles.measures
        money_words = [item for item in measures if item.money and not item.columns]
        spoken = [item for item in money_words if item.text.casefold() in MONEY_VERBS]
        if len(spoken) < len(measures):
            money_words = [item for item in money_words if item not in spoken]
            measures = [item for item in measures if item not in spoken]
        return [
            item for item in measures if item.at not in compared and item not in money_words[1:]
        ]

    def _plain(self, subject: str, needed: set[str], function: Function | None) -> Chosen | None:
        """A function without a number to use it on: "total orders" counts, "average order" is about money."""
        if function == "sum":
            return Chosen(measure=rows_of(self.database.by_name[subject]))
        found = money(self.database, {subject, *needed}, function, "amount")
        return _per_row(found, subject, function) if found else None

    def _number(
        self, item: Item, near: set[str], needed: set[str], function: Function | None
    ) -> Chosen | None:
        counted = item.names_table and function is None and not item.money
        ref = numeric_column(item, self.database, near)
        if ref and function != "count" and not counted and not self._is_label(ref, function):
            return of_column(self.database, ref, function)
        if item.money and function != "count":
            return self._money(item, near, needed, function)
        if item.names_table:
            table = self.database.by_name[largest(self.database, item.tables)]
            return Chosen(measure=rows_of(table))
        column = nearest_column(item, self.database, near, LABEL_KINDS)
        return _different(column) if column else None

    def _is_label(self, ref: ColumnRef, function: Function | None) -> bool:
        """Years and postcodes are numbers that nobody adds up."""
        parts = name_parts(self.database.column(ref).name.casefold())
        return function in {None, "sum", "avg"} and parts[-1:] != () and parts[-1] in LABELS

    def _money(
        self, item: Item, near: set[str], needed: set[str], function: Function | None
    ) -> Chosen | None:
        reach = {*needed, item.name} if item.name else needed or near
        found = money(self.database, reach, function, item.text.split(" ")[-1])
        if found is None or not item.name:
            lines = found is not None and len(found.measure.columns) > 1
            return None if lines and function not in {None, "sum"} else found
        named = replace(
            found.measure,
            name=found.measure.name.replace(slug(item.text.split(" ")[-1]), slug(item.text)),
        )
        return _per_row(replace(found, measure=named), item.name, function)

    def _default_rank(self, subject: str, needed: set[str]) -> Chosen | None:
        """What "best" means when no number is named: most sold, most frequent, or most money."""
        tables = needed or {subject}
        if self.reading.has("selling"):
            return sold(self.database, min(tables))
        if self.reading.has("frequent"):
            target = self.roles.target
            if target and target.names_table:
                return most_rows(self.database, subject)
            return Chosen(measure=rows_of(self.database.by_name[subject]))
        return money(self.database, tables, None, "revenue") or most_rows(self.database, subject)


def _different(ref: ColumnRef) -> Chosen:
    measure = Measure(
        table=ref.table, function="count", columns=(ref,), distinct=True, name=ref.column
    )
    return Chosen(measure=measure)


def _per_row(found: Chosen, subject: str, function: Function | None) -> Chosen:
    """The "average order value" of line items is the sum for each order, not the average of the lines."""
    measure = found.measure
    if function != "avg" or not subject or measure.table == subject:
        return found
    per = ByEntity(table=subject)
    note = (
        found.note.replace("the average of", "the sum of") + f", divided by the number of {subject}"
    )
    return Chosen(measure=replace(measure, per=per), note=note)
