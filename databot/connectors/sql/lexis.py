"""The words of a statement, before any parser: comments, strings, function names.

Engines and sqlglot must cut the text into the same pieces, or a checked statement and the one that runs are two things.
So comments are blanked, every string is measured by the engine's own rules, and names are judged where they are called.
"""

import re

from sqlglot import Token, TokenType
from sqlglot.dialects.dialect import Dialect

from databot.connectors.sql.rules import CLASHING, FUNCTIONS, PACKAGES, WORDS
from databot.types.errors import QueryRefused

BACKSLASH_DIALECTS = frozenset(
    {
        "mysql",
        "bigquery",
        "snowflake",
        "databricks",
        "spark",
        "hive",
        "clickhouse",
        "doris",
        "starrocks",
        "singlestore",
    }
)
TYPED = frozenset({"", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "DATETIME", "INTERVAL"})
"""What may stand right before a plain string. Any other prefix changes its rules for some engine (E'…', _gbk'…')."""
QUOTED_NAMES = (TokenType.IDENTIFIER,)
TEXTS = (TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.UNICODE_STRING)


def without_comments(sql: str, dialect: str) -> tuple[str, list[Token]]:
    """The text with every comment as one space, and without trailing semicolons; and its tokens.

    Raises:
        QueryRefused: a comment that some engine runs (`/*! … */`, `/*M! … */`).
    """
    grammar = Dialect.get_or_raise(dialect)
    tokens = list(grammar.tokenize(sql))
    text = blanked(sql, tokens)
    return text, tokens if text == sql else list(grammar.tokenize(text))


def blanked(sql: str, tokens: list[Token]) -> str:
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    pieces: list[str] = []
    position = 0
    for token in tokens:
        pieces.append(gap(sql[position : token.start]))
        pieces.append(sql[token.start : token.end + 1])
        position = token.end + 1
    check_gap(sql[position:])
    return "".join(pieces).strip()


def gap(between: str) -> str:
    check_gap(between)
    if not between or between.isspace():
        return between
    return "\n" if "\n" in between else " "


def check_gap(between: str) -> None:
    if re.search(r"/\*\s*M?!", between, re.IGNORECASE):
        raise QueryRefused("a comment that the server would run is refused; write it as SQL")


def is_word(token: Token, word: str) -> bool:
    """Whether the token is that unquoted word."""
    return token.text.upper() == word and token.token_type not in (*QUOTED_NAMES, *TEXTS)


def check_tokens(text: str, tokens: list[Token], dialect: str) -> None:
    """Refuse words, calls and strings that have no place here."""
    for place, token in enumerate(tokens):
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        check_word(token, dialect)
        check_quotes(text, token, dialect)
        if following is not None:
            check_call(token, following.token_type, dialect)


def check_word(token: Token, dialect: str) -> None:
    if token.token_type in QUOTED_NAMES or token.token_type in TEXTS:
        return
    why = WORDS.get(token.text.upper())
    if why:
        raise QueryRefused(f"{token.text.upper()} is refused: {why}")
    if token.token_type is TokenType.COMMAND:
        raise QueryRefused(f"{token.text.upper()} cannot be checked inside a statement")
    if token.text == ":=" and dialect == "mysql":
        raise QueryRefused("setting a variable is refused")


def check_call(token: Token, following: TokenType, dialect: str) -> None:
    name = token.text.strip('"`[]')
    if token.token_type in TEXTS or name.lower() in CLASHING.get(dialect, ()):
        return
    called = following is TokenType.L_PAREN and FUNCTIONS.fullmatch(name)
    if called or (following is TokenType.DOT and PACKAGES.fullmatch(name)):
        raise QueryRefused(
            f"the function {name.lower()} is refused: it can do more than read tables"
        )


def check_quotes(text: str, token: Token, dialect: str) -> None:
    """Measure a quoted piece with the engine's rules; it must be what sqlglot takes it for."""
    raw = text[token.start : token.end + 1]
    before = re.search(r"[\w$&]*\Z", text[max(0, token.start - 20) : token.start])
    prefix = before[0].upper() if before else ""
    if token.token_type in QUOTED_NAMES and prefix.endswith("U&"):
        raise QueryRefused("a name with escapes (U&) is refused; write it plainly")
    if token.token_type is not TokenType.STRING:
        return
    if raw[:1] not in "'\"" or prefix not in TYPED:
        raise QueryRefused("a string with this prefix cannot be read with certainty")
    if string_end(raw, backslash=dialect in BACKSLASH_DIALECTS) != len(raw):
        raise QueryRefused("a string is quoted in a way that cannot be read with certainty")


def string_end(raw: str, *, backslash: bool) -> int:
    """Where the string that begins `raw` ends by doubled quotes (and backslashes); -1 when it does not."""
    quote, place = raw[0], 1
    while place < len(raw):
        if backslash and raw[place] == "\\":
            place += 2
        elif raw[place] != quote:
            place += 1
        elif raw[place + 1 : place + 2] == quote:
            place += 2
        else:
            return place + 1
    return -1
