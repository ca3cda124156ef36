"""Delivery: results as charts and files: the calls that make them, and what is said afterwards."""

from typing import Any

from databot.providers.offline.answer import measure_words, notes
from databot.providers.offline.plan import Plan
from databot.providers.offline.prose import among, conditions, noun
from databot.providers.offline.question import ByTime, Question
from databot.providers.offline.results import Rows, Words, outcome
from databot.providers.offline.steps import Ask
from databot.types.errors import shorten

MAX_CHART_LINES = 60


def chart_call(question: Question, made: Plan, connector: str) -> Ask:
    """The chart of a grouped question: time as a line, other groups as bars."""
    timely = bool(question.groups) and isinstance(question.groups[0], ByTime)
    arguments: dict[str, Any] = {
        "sql": made.sql,
        "connector": connector,
        "mark": question.mark or ("line" if timely else "bar"),
        "x": made.dimensions[0],
        "y": made.measures[0],
        "title": title(question, made),
    }
    if len(made.dimensions) > 1:
        arguments["color"] = made.dimensions[1]
    return Ask(tool="chart", arguments=arguments)


def raw_chart_call(sql: str, connector: str, result: Rows, mark: str) -> Ask | None:
    """The chart of the person's own SQL: the first column across, the first numbers up."""
    numbers = [
        name
        for n, name in enumerate(result.columns)
        if n and all(isinstance(row[n], int | float) or row[n] is None for row in result.rows)
    ]
    if not numbers:
        return None
    arguments = {
        "sql": sql,
        "connector": connector,
        "mark": mark or "bar",
        "x": result.columns[0],
        "y": numbers[0],
    }
    return Ask(tool="chart", arguments=arguments)


def title(question: Question, made: Plan) -> str:
    """What a chart shows, in a line."""
    by = among([name.replace("_", " ") for name in made.dimensions])
    words = measure_words(question)
    return shorten(f"{words[:1].upper()}{words[1:]} by {by}{conditions(question)}", 200)


def chart_text(question: Question, made: Plan, content: str) -> str:
    """What is said about a chart: the tool's own words, with the text chart set as one."""
    if outcome_failed(content):
        return f"The chart could not be drawn: {_said(content)}"
    body = f"{title(question, made)}.\n\n{drawn(content)}"
    return "\n\n".join([body, *notes(question, made)])


def drawn(content: str) -> str:
    """The first line as a sentence, the rest as it was drawn."""
    lines = [line for line in content.splitlines() if not line.lstrip().startswith("{")]
    first, rest = (lines[0], lines[1:]) if lines else ("", [])
    picture = "\n".join(rest[:MAX_CHART_LINES]).strip("\n")
    return f"{first}\n\n```text\n{picture}\n```" if picture.strip() else first


def export_call(sql: str, connector: str, form: str) -> Ask:
    """The rows of a query as a file."""
    return Ask(tool="export", arguments={"sql": sql, "connector": connector, "format": form})


def export_text(content: str, what: str, said: list[str]) -> str:
    """What is said about an exported file."""
    if outcome_failed(content):
        return f"The export did not work: {_said(content)}"
    return "\n\n".join([f"{what[:1].upper()}{what[1:]}. {_said(content)}", *said])


def exported(question: Question) -> str:
    """What a file holds."""
    if question.groups or question.measure:
        return f"{measure_words(question)}{conditions(question)}"
    return f"{noun(question.table.rpartition('.')[2])}{conditions(question)}"


def outcome_failed(content: str) -> bool:
    """Whether a tool said that it could not."""
    result = outcome(content)
    return isinstance(result, Words) and result.failed


def _said(content: str) -> str:
    lines = [line.strip() for line in content.splitlines() if not line.lstrip().startswith("{")]
    return shorten(" ".join(line for line in lines if line).removeprefix("error: "), 600)
