"""The tables of one SELECT: their aliases, the joins between them, and how a column is written there."""

from dataclasses import dataclass

from sqlglot import exp

from databot.providers.offline.catalog import ColumnRef, Database, Table
from databot.providers.offline.dialects import since_1970
from databot.providers.offline.joins import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A base table and the steps that lead from it to the others."""

    base: str
    steps: tuple[Step, ...]
    database: Database

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.base, *(step.parent for step in self.steps))

    def alias(self, table: str) -> str:
        """What the table is called in the statement: its bare name, the qualified one when two share it."""
        short = self.database.by_name[table].short
        sharing = [name for name in self.tables if self.database.by_name[name].short == short]
        return short if len(sharing) == 1 else table

    def column(self, ref: ColumnRef) -> exp.Expr:
        """A column, qualified when there is more than one table."""
        table = self.alias(ref.table) if self.steps else None
        return exp.column(ref.column, table=table, quoted=True)

    def number(self, ref: ColumnRef) -> exp.Expr:
        """A column as a number: text is cast, where it holds nothing but numbers."""
        column = self.column(ref)
        found = self.database.column(ref)
        if found.kind != "number" or found.stored != "text":
            return column
        filled = exp.Nullif(this=exp.Trim(this=column), expression=exp.Literal.string(""))
        return exp.cast(filled, "DOUBLE")

    def time(self, ref: ColumnRef) -> exp.Expr:
        """A column as a time: text is cast where the engine does not read it as one by itself."""
        column = self.column(ref)
        stored = self.database.column(ref).stored
        if stored in {"seconds", "milliseconds"}:
            return since_1970(
                column, 1000 if stored == "milliseconds" else 1, self.database.dialect
            )
        kind = self.database.column(ref).type.lower()
        is_time = "date" in kind or "time" in kind
        if is_time or self.database.dialect in {"sqlite", "mysql", "mariadb"}:
            return column
        return exp.cast(column, "TIMESTAMP")

    def key(self, table: str) -> exp.Expr:
        """What tells rows of the table apart."""
        found = self.database.by_name[table]
        column = found.key or found.columns[0]
        return self.column(ColumnRef(table=table, column=column.name))

    def source(self, *, inner: bool) -> exp.Select:
        """FROM and JOINs; `inner` drops rows that have no parent, otherwise they are kept."""
        query = exp.Select().from_(self._table(self.base))
        for step in self.steps:
            pairs = [
                exp.EQ(
                    this=self.column(ColumnRef(table=step.child, column=child)),
                    expression=self.column(ColumnRef(table=step.parent, column=parent)),
                )
                for child, parent in step.pairs
            ]
            query = query.join(
                self._table(step.parent), on=exp.and_(*pairs), join_type="" if inner else "left"
            )
        return query

    def _table(self, name: str) -> exp.Expr:
        table = self.database.by_name[name]
        alias = self.alias(name)
        aliased = alias if self.steps and alias != name else None
        return table_expression(table, aliased)


def table_expression(table: Table, alias: str | None = None) -> exp.Expr:
    """A table by its quoted, possibly qualified name."""
    identifiers = [exp.to_identifier(part, quoted=True) for part in table.path]
    found = exp.Table(this=identifiers[-1], db=identifiers[-2] if len(identifiers) > 1 else None)
    return exp.alias_(found, alias, quoted=True, table=True) if alias else found
