"""Elsewhere: words found neither as names nor among the values near by, looked for in the rest of the database.

Before it is said that a word is not in the data, every table of a bearable size is searched, in one bounded look.
"""

from collections.abc import Generator, Sequence

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.draft import Problem, Strange
from databot.providers.offline.matching import match
from databot.providers.offline.prose import among, noun
from databot.providers.offline.reading import read
from databot.providers.offline.results import Rows, outcome
from databot.providers.offline.steps import Ask
from databot.providers.offline.understand import draft
from databot.providers.offline.values import MAX_COLUMNS, Value, candidates, lookup, values_of

MOST_ROWS = 2_000_000
"""Tables with more rows are not searched for a word that may be in any of their columns."""


def searched(problem: Problem, database: Database) -> Generator[Ask, str, Problem]:
    """The problem, told with where its unknown words stand after all."""
    tables = [table.name for table in database.tables if (table.rows or 0) <= MOST_ROWS]
    columns = candidates(database, tables, ())
    if not columns or not problem.unknown:
        return problem
    strange = tuple(
        Strange(text=word, at=at, negated=False, quoted=False)
        for at, word in enumerate(problem.unknown)
    )
    arguments = {"sql": lookup(database, columns, strange), "connector": database.connector}
    result = outcome((yield Ask(tool="sql", arguments=arguments, settled=True)))
    if not isinstance(result, Rows):
        return problem
    lemmas = tuple((one.at, one.text) for one in strange)
    found = {
        at: one.value
        for one in match(strange, lemmas, values_of(result.rows, columns))
        for at in one.positions
    }
    if found:
        return _placed(problem.unknown, found, database)
    whole = len(tables) == len(database.tables) and len(columns) < MAX_COLUMNS
    return problem if whole else Problem(reason=f"{problem.reason} I looked through")


def _placed(words: Sequence[str], found: dict[int, Value], database: Database) -> Problem:
    missing = [f"“{word}”" for at, word in enumerate(words) if at not in found]
    places = [f"“{value.value}” is a value of {_place(value.column)}" for value in found.values()]
    lost = f"I do not know {among(missing)}; " if missing else ""
    first = next(iter(found.values()))
    example = _example(first, database)
    ask = f". You could ask: {example}" if example else ""
    return Problem(reason=f"{lost}{among(list(dict.fromkeys(places)))}{ask}")


def _place(ref: ColumnRef) -> str:
    return f"{ref.table}.{ref.column}"


def _example(value: Value, database: Database) -> str:
    """A question about the value that is known to be understood."""
    things = noun(database.by_name[value.column.table].short)
    text = f"how many {things} where {value.column.column} is {value.value}"
    made = draft(read(text, database), database, None)
    fine = not isinstance(made, Problem) and made.subject == value.column.table
    return f"“{text}”" if fine else ""
