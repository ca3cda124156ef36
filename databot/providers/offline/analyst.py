"""The analyst: what to do with a message, from the first look at the catalog to the words of the answer.

One generator from start to end; every tool result it needs is an `Ask`. It knows no database but through them.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from databot.providers.offline import tour
from databot.providers.offline.abbreviations import freely
from databot.providers.offline.answer import answer, notes, raw_answer
from databot.providers.offline.catalog import Database, merge
from databot.providers.offline.choice import choose, search_words, without_connector
from databot.providers.offline.delivery import (
    chart_call,
    chart_text,
    drawn,
    export_call,
    export_text,
    exported,
    raw_chart_call,
)
from databot.providers.offline.draft import Problem
from databot.providers.offline.follow import opens_as_follow_up
from databot.providers.offline.inquiry import Settled, inquire, tables_of
from databot.providers.offline.names import corrected
from databot.providers.offline.output import format_of, mark_of
from databot.providers.offline.passages import quoted_passage
from databot.providers.offline.plan import Unplannable, plan
from databot.providers.offline.profile import profiled
from databot.providers.offline.rawsql import RawSql, sql_in
from databot.providers.offline.reading import Reading, read
from databot.providers.offline.results import Rows, databases, outcome
from databot.providers.offline.steps import Analysis, Ask
from databot.providers.offline.talk import (
    NO_TOOLS,
    asks_help,
    asks_identity,
    asks_to_change,
    help_text,
    identity,
    not_understood,
    small_talk,
)

REMEMBERED = 6
"""How many earlier messages are read again to know what a follow-up follows."""
MAX_NAMED = 3


def analyse(texts: Sequence[str], tools: frozenset[str], reference: str) -> Analysis:
    """Answer the last of a person's messages; `reference` is what retrieval found for it."""
    plain = small_talk(texts[-1])
    if plain is not None:
        return plain
    changes = asks_to_change(texts[-1])
    if "schema" not in tools or "sql" not in tools:
        return NO_TOOLS
    content = yield Ask(tool="schema")
    known = databases(content)
    if known is None:
        return trouble_with_catalog(content)
    general = _in_general(texts[-1], known)
    if general:
        return general
    if changes:
        return not_understood(Problem(reason=changes), known)
    if any(database.truncated for database in known):
        known = yield from _searched(texts, known)
    return (yield from _of_data(texts, known, tools, reference))


def _in_general(text: str, known: tuple[Database, ...]) -> str:
    """What needs the catalog and no question: help, who this is, what there is."""
    if asks_help(text):
        return help_text(known)
    if asks_identity(text):
        return identity(known)
    if not any(database.tables for database in known):
        return f"{tour.tables_text(known)} There is nothing to ask about yet."
    return tour.overview(known) if tour.asks_overview(text) else ""


def trouble_with_catalog(content: str) -> str:
    """The catalog could not be read."""
    result = outcome(content)
    said = getattr(result, "text", content).removeprefix("error:").strip()
    return f"I could not read the catalog of the databases: {said[:400] or 'the tool gave nothing'}\n\n`databot doctor` says what is wrong."


def _searched(
    texts: Sequence[str], known: tuple[Database, ...]
) -> Generator[Ask, str, tuple[Database, ...]]:
    """A large catalog comes in part: the tables that the messages may be about are asked for."""
    for text in texts[-REMEMBERED:]:
        words = search_words(text)
        if words:
            content = yield Ask(tool="schema", arguments={"search": words})
            known = merge(known, databases(content) or ())
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    """What is known from the messages before: the databases, the last question, and the connector it was asked of."""

    known: tuple[Database, ...]
    before: Settled | None = None
    previous: str = ""

    def of(self, database: Database) -> Settled | None:
        """The question before, if it was asked of the same database."""
        return self.before if database.connector == self.previous else None

    def looked_at(self, database: Database) -> "_Talk":
        """With what was found out about one of the databases."""
        known = (database if one.connector == database.connector else one for one in self.known)
        return replace(self, known=tuple(known))


def _recalled(texts: Sequence[str], known: tuple[Database, ...]) -> Generator[Ask, str, _Talk]:
    """What was asked last, and of which database: the earlier messages, read again.

    A message that was not understood leaves nothing to follow, unless it was a follow-up itself.
    """
    talk = _Talk(known=known)
    for text in texts:
        if small_talk(text) is not None or _in_general(text, talk.known):
            continue
        settled, database = yield from _asked(text, talk)
        talk = talk.looked_at(database)
        if not isinstance(settled, Problem):
            talk = replace(talk, before=settled, previous=database.connector)
        elif not opens_as_follow_up(text):
            talk = replace(talk, before=None)
    return talk


def _asked(text: str, talk: _Talk) -> Generator[Ask, str, tuple[Settled | Problem, Database]]:
    """What a message asks, and the database it asks, looked at as closely as the question needs."""
    chosen = choose(text, talk.known, talk.previous)
    plain = without_connector(text, chosen)
    before = talk.of(chosen)
    if sql_in(plain) is None:
        chosen = yield from _with_columns(read(plain, chosen), chosen)
        reading = read(freely(corrected(plain, chosen, columns=False), chosen), chosen)
        chosen = yield from profiled(reading, chosen, tables_of(before))
    settled = yield from inquire(plain, chosen, before)
    return settled, chosen


def _with_columns(reading: Reading, database: Database) -> Generator[Ask, str, Database]:
    """A large catalog leaves columns out: those of the tables named are asked for."""
    named = dict.fromkeys(name for item in reading.nouns for name in item.tables)
    for name in [name for name in named if not database.by_name[name].columns][:MAX_NAMED]:
        arguments = {"connector": database.connector, "table": name}
        content = yield Ask(tool="schema", arguments=arguments)
        database = merge((database,), databases(content) or ())[0]
    return database


def _of_data(
    texts: Sequence[str], known: tuple[Database, ...], tools: frozenset[str], reference: str
) -> Analysis:
    talk = yield from _recalled(texts[-REMEMBERED - 1 : -1], known)
    before, known = talk.before, talk.known
    database = choose(texts[-1], known, talk.previous)
    text = without_connector(texts[-1], database)
    plain = corrected(text, database, columns=False)
    reading = read(plain, database)
    table = tour.described_table(text, read(freely(plain, database), database), database)
    if tour.asks_tables(text, reading) and not table:
        return tour.tables_text(known)
    if table:
        return (yield from _described(table.name, database))
    if isinstance(before, RawSql) and not reading.nouns and reading.has("chart", "export"):
        return (yield from _raw_again(before, reading, tools))
    settled, database = yield from _asked(texts[-1], talk)
    if isinstance(settled, Problem) and settled.trouble:
        return settled.reason
    if isinstance(settled, Problem):
        quote = quoted_passage(reference, text, reading, [one.connector for one in known])
        return not_understood(settled, _first(database, known), quote)
    return (yield from _answered(settled, database, tools, known))


def _first(database: Database, known: Sequence[Database]) -> list[Database]:
    return [database, *(one for one in known if one.connector != database.connector)]


def _described(name: str, database: Database) -> Analysis:
    table = database.by_name[name]
    if not table.columns:
        arguments = {"connector": database.connector, "table": name}
        content = yield Ask(tool="schema", arguments=arguments)
        merged = merge((database,), databases(content) or ())[0]
        return tour.table_text(merged.by_name[name], merged)
    return tour.table_text(table, database)


def _answered(
    question: Settled, database: Database, tools: frozenset[str], known: Sequence[Database]
) -> Analysis:
    if isinstance(question, RawSql):
        arguments = {"sql": question.sql, "connector": question.connector}
        return raw_answer(outcome((yield Ask(tool="sql", arguments=arguments))))
    made = plan(question, database)
    if isinstance(made, Unplannable):
        return not_understood(Problem(reason=made.reason), _first(database, known))
    if question.output == "chart" and "chart" in tools:
        content = yield chart_call(question, made, database.connector)
        return chart_text(question, made, content)
    if question.output == "export" and "export" in tools:
        content = yield export_call(made.sql, database.connector, question.format)
        return export_text(content, exported(question), notes(question, made))
    content = yield Ask(tool="sql", arguments={"sql": made.sql, "connector": database.connector})
    said = answer(question, made, outcome(content))
    if question.output != "text":
        return f"{said}\n\nI have no tool to {'draw charts' if question.output == 'chart' else 'export'} here, so this is the table."
    return said


def _raw_again(before: RawSql, reading: Reading, tools: frozenset[str]) -> Analysis:
    """Charts or exports after SQL of the person's own."""
    if not reading.has("chart") and "export" in tools:
        content = yield export_call(before.sql, before.connector, format_of(reading))
        return export_text(content, "the rows of your query", [])
    arguments = {"sql": before.sql, "connector": before.connector}
    result = outcome((yield Ask(tool="sql", arguments=arguments)))
    mark = mark_of(reading)
    call = (
        raw_chart_call(before.sql, before.connector, result, mark)
        if isinstance(result, Rows)
        else None
    )
    if call is None or "chart" not in tools:
        return raw_answer(result)
    return drawn((yield call))
