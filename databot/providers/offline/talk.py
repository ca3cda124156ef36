"""Small talk and honesty: greetings, help, and what is said when a message was not understood."""

import re
from collections.abc import Iterator, Sequence

from databot.providers.offline.catalog import Database, Table
from databot.providers.offline.draft import Problem
from databot.providers.offline.filters import times_of
from databot.providers.offline.joins import graph
from databot.providers.offline.plan import Plan, plan
from databot.providers.offline.prose import among, noun
from databot.providers.offline.reading import read
from databot.providers.offline.understand import draft
from databot.providers.offline.words import plural, readable

LABEL = (
    "I am databot's offline analyst: a fixed program, not a language model. I read simple English about the connected "
    "databases and write the SQL for it."
)
UPGRADE = (
    "For free conversation set `llm.model` in config.yaml, or a provider's key in the environment."
)
NO_TOOLS = f"{LABEL} I was given no tools to look at data with, so I cannot answer from data here."
ABLE = (
    "I can list and describe tables; count, filter, sum and average; rank (“top 5 …”); group (“by country”, “per month”);"
    " show the latest rows or the different values; run SQL you write; chart and export; and follow up (“and by country?”)."
)

_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|hallo|good (?:morning|afternoon|evening|day)|greetings|yo|moin)\b[\w\s,'!.]{0,24}$",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*(?:(?:many |ok(?:ay)? |great |perfect |cool |nice )*(?:thanks|thank you|thx|cheers|ty)|great|perfect|cool|nice|awesome|well done)\b[\w\s,'!.]{0,24}$",
    re.IGNORECASE,
)
_BYE = re.compile(r"^\W*(?:bye|goodbye|see you|ciao)\b[\w\s,'!.]{0,20}$", re.IGNORECASE)
_HELP = re.compile(
    r"^\W*(?:(?:hi|hey|hello|so|and)\W+)?(?:/?help(?: me)?|what (?:can|could) (?:you|u|i) (?:do|ask)\b.*|how (?:do|does|can) (?:this|you|i) (?:work|use (?:this|you)).*|\?+|usage|commands)\W*$",
    re.IGNORECASE,
)
_IDENTITY = re.compile(
    r"\b(?:who|what) are you\b|\bare you (?:an? )?(?:ai|llm|bot|human|real|gpt|chatgpt|claude|language model|robot)\b|\bwhat(?:'s| is) your name\b|\bwhich model\b|\bwhat model\b",
    re.IGNORECASE,
)
_WRITING = re.compile(
    r"^\W*(?:(?:please|can you|could you|now|and)\s+)*(?P<verb>delete|drop|truncate|alter|insert|update|grant|revoke|merge"
    r"|create(?=\s+(?:a\s+|an\s+|or\s+replace\s+)*(?:unique\s+)?(?:table|view|index|database|schema|user|column|trigger)\b))\b",
    re.IGNORECASE,
)
_DATA_WORD = re.compile(r"\b(?:how many|show|list|count|top|average|total)\b", re.IGNORECASE)


def small_talk(text: str) -> str | None:
    """An answer that needs no data, if the message is of that kind."""
    if _DATA_WORD.search(text):
        return None
    if _GREETING.match(text):
        return (
            "Hello. Ask me about your data, for example “list tables”, or “help” for what I can do."
        )
    if _THANKS.match(text):
        return "You are welcome."
    if _BYE.match(text):
        return "Goodbye."
    return None


def asks_to_change(text: str) -> str:
    """Why nothing is done, if the person wants data changed; empty otherwise."""
    found = _WRITING.match(text)
    return f"I only read: nothing I do can {found['verb'].lower()} anything" if found else ""


def asks_help(text: str) -> bool:
    """Whether the person wants to know what can be asked."""
    return bool(_HELP.match(text))


def asks_identity(text: str) -> bool:
    """Whether the person wants to know what is answering."""
    return bool(_IDENTITY.search(text)) and not _DATA_WORD.search(text)


def help_text(databases: Sequence[Database]) -> str:
    """What can be asked, with examples from the connected databases."""
    return "\n\n".join([LABEL, ABLE, _for_example(databases, "For example:"), UPGRADE])


def identity(databases: Sequence[Database]) -> str:
    """What is answering."""
    return "\n\n".join([LABEL, _for_example(databases, "You could ask:"), UPGRADE])


def not_understood(problem: Problem, databases: Sequence[Database], quote: str = "") -> str:
    """Why there is no answer, what a document says about it, and three questions that would have one."""
    reason = problem.reason[:1].upper() + problem.reason[1:]
    examples = _for_example(databases, "Questions I can answer here:")
    parts = (f"{reason}.", quote, examples, f"{LABEL} {UPGRADE}")
    return "\n\n".join(part for part in parts if part)


def _for_example(databases: Sequence[Database], head: str) -> str:
    found = examples(databases)
    return "\n".join([head, "", *(f"- {one}" for one in found)]) if found else ""


def examples(databases: Sequence[Database], count: int = 3) -> list[str]:
    """Questions about real tables that are known to be understood: each was read and planned before it is offered."""
    found: list[str] = []
    for database in databases:
        for text in _proposed(database):
            if len(found) < count and text not in found and _works(text, database):
                found.append(text)
    return found


def _works(text: str, database: Database) -> bool:
    made = draft(read(text, database), database, None)
    if isinstance(made, Problem) or made.strange or not made.subject:
        return False
    return isinstance(plan(made.question(), database), Plan)


def _proposed(database: Database) -> Iterator[str]:
    """Candidates, the most telling first: about the tables that hang together best and have most rows."""
    edges = graph(database)
    weight = {t.name: (len(edges.steps.get(t.name, ())), t.rows or 0) for t in database.tables}
    tables = sorted(
        (t for t in database.tables if t.columns and t.rows != 0),
        key=lambda table: weight[table.name],
        reverse=True,
    )[:8]
    for kind in (_rankings, _series, _groups, _counts, _latest):
        for table in tables:
            found = next(iter(kind(table, database)), None)
            if found:
                yield found
                break
    for table in tables:
        yield from _counts(table, database)
    yield from (f"Show {noun(table.short)}" for table in tables)


def _rankings(table: Table, database: Database) -> Iterator[str]:
    for step in graph(database).steps.get(table.name, ()):
        parent = database.by_name[step.parent]
        if parent.labels:
            yield f"Top 5 {noun(parent.short)} by number of {noun(table.short)}"


def _series(table: Table, database: Database) -> Iterator[str]:
    del database
    if times_of(table):
        yield f"{_first(noun(table.short))} per month"


def _groups(table: Table, database: Database) -> Iterator[str]:
    del database
    for column in table.columns:
        if column.kind == "text" and not column.is_key and column not in table.labels:
            yield f"{_first(noun(table.short))} by {readable(column.name)}"


def _counts(table: Table, database: Database) -> Iterator[str]:
    del database
    yield f"How many {noun(table.short)} are there?"


def _latest(table: Table, database: Database) -> Iterator[str]:
    del database
    if times_of(table):
        yield f"Show the latest 5 {noun(table.short)}"


def _first(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def unknown_words(words: Sequence[str], known: Sequence[str]) -> Problem:
    """Words that stand for nothing here, with the values there are where a few were seen."""
    quoted = among([f"“{word}”" for word in words], "or")
    seen = f"; values I found are {among([f'“{value}”' for value in known])}" if known else ""
    reason = f"I find no {quoted} in the data, neither as a name nor as a value{seen}"
    return Problem(reason=reason, unknown=tuple(words))


def beyond(what: str) -> Problem:
    """Something known to be more than this analyst can do."""
    return Problem(
        reason=f"{what} is more than I can do: I only read and add up what the tables hold"
    )


__all__ = ["examples", "help_text", "identity", "not_understood", "plural", "small_talk"]
