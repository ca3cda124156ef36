"""SQL that a person wrote: found in a message, and passed on only when it is one reading statement.

The connector refuses what is not; this check only saves the trip and says why in words.
"""

import re
from dataclasses import dataclass

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from databot.providers.offline.dialects import sqlglot_name
from databot.providers.offline.draft import Problem

_FENCE = re.compile(r"```(?:sql)?\s*\n?(.*?)```", re.IGNORECASE | re.DOTALL)
_START = re.compile(
    r"^\s*(?:(?:please )?(?:run|execute)(?: this)?(?: query| sql)?\s*:?\s*)?((?:select|with)\b.*)$",
    re.IGNORECASE | re.DOTALL,
)
_SELECT = re.compile(r"^\s*(?:select|with)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSql:
    """A statement as the person wrote it, for one connector."""

    sql: str
    connector: str


def sql_in(text: str) -> str | None:
    """The SQL a message consists of: in a fence, or from its first word on."""
    fence = _FENCE.search(text)
    if fence and _SELECT.match(fence[1]):
        return fence[1].strip()
    start = _START.match(text)
    if not start or not re.search(r"\bfrom\b|\d|\*|\(|'", start[1], re.IGNORECASE):
        return None
    return start[1].strip()


def checked(sql: str, dialect: str) -> str | Problem:
    """The statement without its final semicolon, or why it is not run."""
    bare = sql.rstrip().rstrip(";").rstrip()
    try:
        found = [one for one in parse(bare, dialect=sqlglot_name(dialect)) if one is not None]
    except (SqlglotError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0][:160] if str(error) else "it does not parse"
        return Problem(reason=f"that SQL has a mistake: {first}")
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        return Problem(reason="I run one SELECT at a time and nothing that changes data")
    return bare
