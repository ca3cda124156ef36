"""Answers: a question and its result as text: one sentence with the figure, then a table when there is more.

Every figure here stands in the result it was given. What a result does not hold is not said.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from databot.providers.offline.plan import Plan, group_name
from databot.providers.offline.prose import (
    MAX_ROWS,
    among,
    cell,
    conditions,
    label,
    markdown,
    noun,
    number,
)
from databot.providers.offline.question import ByTime, Group, Question
from databot.providers.offline.results import Outcome, Rows, Words
from databot.types.errors import shorten

ERROR_CHARACTERS = 400
CYCLES = {"weekday", "hour_of_day"}
"""Groups of time that come round again: their first and last are no dates."""
_FOR_MODELS = re.compile(
    r"\s*\((?:look|use|ask|call)\b[^()]*`\w+`(?:[^()]|\([^()]*\))*\)|\s*\[[a-z_]+\]$"
)
"""What tools add to an error for a model: which tool to call next, and the kind of the error."""


def answer(question: Question, made: Plan, result: Outcome) -> str:
    """What the result says to the question."""
    if isinstance(result, Words):
        return trouble(result)
    if question.groups:
        body = _grouped(question, made, result)
    elif question.measure:
        body = _single(question, result)
    elif question.shape == "distinct":
        body = _distinct(question, result)
    else:
        body = _listed(question, made, result)
    return "\n\n".join([body, *notes(question, made)])


def trouble(result: Words) -> str:
    """A tool that gave no rows, in words."""
    whole = " ".join(result.text.removeprefix("error:").split())
    said = shorten(_FOR_MODELS.sub("", _FOR_MODELS.sub("", whole)), ERROR_CHARACTERS)
    if result.failed:
        return f"The query did not run: {said or 'no reason was given'}\n\n{_try(said)}"
    return f"The query gave no rows that I can read. The tool said: {said or 'nothing at all'}"


def _try(said: str) -> str:
    lower = said.casefold()
    if "timeout" in lower or "time limit" in lower or "stopped after" in lower:
        return "Try a shorter period or a narrower filter."
    if "connect" in lower or "unavailable" in lower or "down" in lower:
        return "The database seems out of reach; `databot doctor` says why. Then ask again."
    if "permission" in lower or "denied" in lower or "refused" in lower:
        return "Try a question that only reads tables this connection may see; “list tables” shows them."
    return "Try the question in other words; “list tables” shows what is there."


def notes(question: Question, made: Plan) -> list[str]:
    """The choices that were made for the person, one paragraph each."""
    said = [f"Note: {note}." for note in (*question.notes, *made.remarks)]
    if made.cut:
        said.append("Note: the table has more columns than are shown; name those you want.")
    return said


def measure_words(question: Question) -> str:
    """What a measure is called in a sentence."""
    measure = question.measure
    if measure is None:
        return "value"
    if question.share:
        return f"share of {noun(question.table.rpartition('.')[2])}, in percent,"
    if measure.function == "count" and not measure.columns and not measure.per:
        return f"number of {noun(measure.table.rpartition('.')[2])}"
    if measure.distinct:
        return f"number of different {noun(measure.columns[0].column)}"
    return measure.name.replace("_", " ")


def _single(question: Question, result: Rows) -> str:
    first = -1 - len(question.more)
    value: Any = result.rows[0][first] if result.rows and len(result.rows[0]) >= -first else None
    where = conditions(question)
    measure = question.measure
    if value is None or measure is None:
        return f"There is nothing to compute: no {noun(question.table.rpartition('.')[2])} match{where}."
    figure = f"**{number(value)}**"
    if question.share:
        return (
            f"{figure} percent of the {noun(question.table.rpartition('.')[2])} are those{where}."
        )
    if measure.function == "count" and not measure.per:
        thing = measure.columns[0].column if measure.columns else measure.table.rpartition(".")[2]
        one = number(value) == "1"
        different = "different " if measure.distinct and not one else ""
        return f"There {'is' if one else 'are'} {figure} {different}{noun(thing, count=1 if one else 2)}{where}."
    if question.more and result.rows:
        figures = result.rows[0][-len(question.more) - 1 :]
        measures = (measure, *question.more)
        said = [
            f"the {one.name.replace('_', ' ')} is **{number(value)}**"
            for one, value in zip(measures, figures, strict=True)
        ]
        return f"{among(said).capitalize()}{where}."
    return f"The {measure_words(question)}{where} is {figure}."


def _grouped(question: Question, made: Plan, result: Rows) -> str:
    where = conditions(question)
    what = measure_words(question)
    if not result.rows:
        return f"Nothing to show: no {noun(question.table.rpartition('.')[2])} match{where}."
    timely = isinstance(question.groups[0], ByTime) and question.order is None
    if timely:
        head = f"The {what} {_per(question.groups)}{where}{_from_to(result)}:"
        rows = result.rows[-MAX_ROWS:] if result.complete else result.rows[:MAX_ROWS]
    else:
        head = _leader(question, made, result, what, where)
        rows = result.rows[:MAX_ROWS]
    if len(result.rows) == 1 and result.complete and not timely:
        return head
    table = markdown(result.columns, rows, made.measures, made.keys)
    return "\n\n".join([head, table, *_rest(result, len(rows), latest=timely and result.complete)])


def _per(groups: Sequence[Group]) -> str:
    names = [group_name(group).replace("_", " ") for group in groups]
    return " and ".join([f"per {names[0]}", *names[1:]])


def _from_to(result: Rows) -> str:
    first = next((row[0] for row in result.rows if row[0] is not None), None)
    last = result.rows[-1][0] if result.complete else None
    if first is None or last is None or first == last or result.columns[0] in CYCLES:
        return ""
    return f", from {cell(first, 'year')} to {cell(last, 'year')}"


def _leader(question: Question, made: Plan, result: Rows, what: str, where: str) -> str:
    """The first group, which the ORDER BY made the highest or lowest."""
    row = result.rows[0]
    labels = [_label(value, name) for value, name in zip(row, made.dimensions, strict=False)]
    figure = number(row[len(made.dimensions)])
    order = question.order
    ranked = "lowest" if order and not order.descending else "highest"
    if what.startswith(("highest", "lowest")):
        return f"**{', '.join(labels)}** comes first: the {what}{where} is **{figure}**."
    return f"**{', '.join(labels)}** has the {ranked} {what}{where}: **{figure}**."


def _label(value: object, name: str) -> str:
    """What a group is called; one that is known by its number alone says what it is."""
    shown = label(value, name)
    return (
        f"{name.removesuffix('_id').replace('_', ' ')} {shown}" if name.endswith("_id") else shown
    )


def _rest(result: Rows, shown: int, *, latest: bool = False) -> list[str]:
    """What is said about rows that are not shown."""
    said: list[str] = []
    if shown < result.row_count:
        which = "latest" if latest else "first"
        in_all = "" if result.truncated else f"; there are {number(result.row_count)} in all"
        said.append(f"Only the {which} rows are shown{in_all}.")
    if result.truncated:
        said.append(
            f"The result was cut at {number(result.row_count)} rows and the database has more. Narrow the question to see them."
        )
    if result.artifact_id and shown < result.row_count:
        said.append(f"The whole result is kept as {result.artifact_id}.")
    return [" ".join(said)] if said else []


def _distinct(question: Question, result: Rows) -> str:
    name = question.columns[0].column.replace("_", " ") if question.columns else "value"
    values = [label(row[0], name) for row in result.rows if row]
    where = conditions(question)
    if not values:
        return f"There is no {name}{where}: no rows."
    if len(values) == 1 and result.complete:
        return f"There is **1** {name}{where}: {values[0]}."
    head = f"There are **{number(result.row_count)}** different values of {name}{where}"
    if len(values) <= MAX_ROWS and result.complete:
        return f"{head}: {among(values)}."
    table = markdown(result.columns, result.rows[:MAX_ROWS])
    return "\n\n".join([f"{head}:", table, *_rest(result, min(MAX_ROWS, len(values)))])


def _listed(question: Question, made: Plan, result: Rows) -> str:
    where = conditions(question)
    things = noun(question.table.rpartition(".")[2])
    if not result.rows:
        return f"There are no {things}{where or ': the table is empty'}."
    order = question.order
    more = order is not None and order.page and result.row_count > order.limit
    if order is not None and more:
        result = replace(result, rows=result.rows[: order.limit], row_count=order.limit)
    shown = result.rows[:MAX_ROWS]
    whole = order is not None and order.page and not more
    head = (
        _extreme(question, made, result) or f"{_which(question, made, result, whole=whole)}{where}:"
    )
    said = _rest(result, len(shown))
    if more:
        said.append(f"There are more; “how many {things}” counts them.")
    return "\n\n".join([head, markdown(result.columns, shown, labels=made.keys), *said])


def _extreme(question: Question, made: Plan, result: Rows) -> str:
    """The one row that was asked for by its number: named, with that number."""
    order = question.order
    if (
        order is None
        or order.column is None
        or made.ordered_by != "number"
        or result.row_count != 1
    ):
        return ""
    if order.column.column not in result.columns:
        return ""
    figure = result.rows[0][result.columns.index(order.column.column)]
    ranked = "highest" if order.descending else "lowest"
    row = dict(zip(result.columns, result.rows[0], strict=False))
    name = " ".join(cell(row[label], label) for label in made.labels if label in row)
    if not name:
        return ""
    column = order.column.column.replace("_", " ")
    return f"**{name}** has the {ranked} {column}{conditions(question)}: **{number(figure)}**."


def _which(question: Question, made: Plan, result: Rows, *, whole: bool) -> str:
    count = "" if result.row_count == 1 else f"{number(result.row_count)} "
    thing = noun(question.table.rpartition(".")[2], count=result.row_count)
    order = question.order
    if order is None or whole or (order.column is None and result.row_count < order.limit):
        return f"{number(result.row_count)} {thing}"
    if order.column is None:
        return f"The first {count}{thing}"
    column = order.column.column.replace("_", " ")
    if made.ordered_by == "time":
        return f"The {'latest' if order.descending else 'earliest'} {count}{thing} by {column}"
    if made.ordered_by != "number":
        return f"The first {count}{thing} by {column}"
    return f"The {count}{thing} with the {'highest' if order.descending else 'lowest'} {column}"


def raw_answer(result: Outcome) -> str:
    """The result of SQL that the person wrote."""
    if isinstance(result, Words):
        return trouble(result)
    if not result.rows:
        return "The query gave no rows."
    if result.row_count == 1 and len(result.columns) == 1:
        value = result.rows[0][0]
        return f"{result.columns[0]}: **{cell(value, result.columns[0])}**"
    shown = result.rows[:MAX_ROWS]
    head = f"The query gave {number(result.row_count)} row{'' if result.row_count == 1 else 's'}:"
    return "\n\n".join([head, markdown(result.columns, shown), *_rest(result, len(shown))])
