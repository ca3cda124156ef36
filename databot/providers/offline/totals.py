"""Totals: comparisons with what the rows below add up to: "customers with more than 5 orders", "orders over 1000"."""

from databot.providers.offline.catalog import Database
from databot.providers.offline.joins import Step, graph
from databot.providers.offline.measures import Chosen, money, rows_of
from databot.providers.offline.question import Totalled
from databot.providers.offline.roles import Comparison


def step_up(table: str, subject: str, database: Database) -> Step | None:
    """The step from a row of the table to its row of the subject."""
    steps = graph(database).steps.get(table, ())
    return next((step for step in steps if step.parent == subject and not step.pairs[1:]), None)


def counted(comparison: Comparison, subject: str, database: Database) -> Totalled | None:
    """How many rows of the thing compared belong to each row of the subject."""
    item = comparison.about
    table = next((t for t in item.tables if step_up(t, subject, database)), "") if item else ""
    if not table or comparison.also:
        return None
    measure = rows_of(database.by_name[table])
    return Totalled(measure=measure, operator=comparison.operator, value=comparison.value)


def added_up(
    comparison: Comparison, subject: str, database: Database
) -> tuple[Totalled, str] | None:
    """What the rows below each row of the subject are worth, with the definition of that."""
    found: Chosen | None = money(database, {subject}, "sum", "amount") if subject else None
    if found is None or comparison.also or not step_up(found.measure.table, subject, database):
        return None
    return (
        Totalled(measure=found.measure, operator=comparison.operator, value=comparison.value),
        found.note,
    )
