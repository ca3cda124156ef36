"""The SQL gate: one statement, and that one only reads.

Pure, and the first of several layers; sessions, transactions and the database role hold too. It fails closed: what cannot
be read with certainty is refused.

The statement that runs is the author's own text with its comments blanked, and exactly that text is what was parsed. It
is not written anew from the syntax tree: a round trip through a dialect changes meaning in places (`FETCH FIRST` became
`LIMIT`, `LIMIT 5 BY` lost its `BY`), and evidence should show the SQL that was asked for. Comments go because engines
disagree about them, and with them every place to hide something from the parser.
"""

import re
from dataclasses import dataclass
from typing import Literal

from sqlglot import Token, TokenType, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError

from databot.connectors.sql.lexis import check_tokens, is_word, without_comments
from databot.connectors.sql.rules import (
    CATALOGS,
    EXPLAIN,
    FILE_TABLE,
    FIRST_WORDS,
    OTHER_SHOW,
    SHOW,
)
from databot.types.errors import QueryRefused

LONGEST = 100_000
Kind = Literal["select", "show", "explain"]
READING = ("SELECT", "WITH", "VALUES", "TABLE", "FROM", "PIVOT", "UNPIVOT", "SUMMARIZE", "DESCRIBE")
ALLOWED = "SELECT, WITH … SELECT, VALUES, EXPLAIN, SHOW and DESCRIBE"
ROOTS = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery, exp.Pivot, exp.Summarize)
WRITING = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.DDL,
    exp.Command,
    exp.Into,
    exp.Lock,
    exp.Set,
    exp.Copy,
    exp.Attach,
    exp.Detach,
    exp.Pragma,
    exp.Use,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
    exp.Kill,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.LoadData,
    exp.Grant,
    exp.Comment,
    exp.Analyze,
    exp.Cache,
    exp.Uncache,
    exp.Hint,
    exp.Show,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedQuery:
    """A statement that may run: `sql` is the text to run, `tables` what it reads, as written."""

    sql: str
    kind: Kind
    tables: tuple[str, ...] = ()


def check_sql(sql: str, dialect: str) -> GuardedQuery:
    """Let one reading statement through.

    Raises:
        QueryRefused: it is something else, or cannot be read with certainty; the reason is for people.
    """
    if len(sql) > LONGEST:
        raise QueryRefused(f"the statement is longer than {LONGEST} characters")
    if "\0" in sql:
        raise QueryRefused("the statement holds a NUL character")
    try:
        return check_text(sql, dialect)
    except RecursionError as error:
        raise QueryRefused("the statement is nested too deeply to be checked") from error
    except (SqlglotError, ValueError) as error:
        raise QueryRefused(f"the statement cannot be read: {reason_of(error)}") from error


def check_text(sql: str, dialect: str) -> GuardedQuery:
    if not dialect or dialect not in Dialect.classes:
        raise QueryRefused(f"no grammar is known for the dialect {dialect!r}")
    bare = sql.strip().rstrip("; \t\r\n")
    if re.fullmatch(SHOW.get(dialect, OTHER_SHOW), bare, re.IGNORECASE):
        return GuardedQuery(sql=bare, kind="show")
    head = re.match(r"EXPLAIN\b", without_comments_before(bare), re.IGNORECASE)
    if head:  # before the tokenizer, for which everything after EXPLAIN is one opaque string
        return check_explain(without_comments_before(bare), dialect)
    return check_select(*without_comments(bare, dialect), dialect)


def without_comments_before(text: str) -> str:
    """The text from its first word on; a comment that a server would run counts as a word."""
    return re.sub(
        r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*(?!\s*M?!)(?:(?!\*/|/\*).)*\*/)+", "", text, flags=re.DOTALL
    )


def check_explain(text: str, dialect: str) -> GuardedQuery:
    head = re.match(EXPLAIN, text, re.IGNORECASE)
    rest = text[head.end() :] if head else ""
    if not head or re.match(r"\(\s*\w+[^()]*\)\s*\w|ANALY[SZ]E\b|EXPLAIN\b", rest, re.IGNORECASE):
        raise QueryRefused("EXPLAIN with these options runs the statement; use EXPLAIN alone")
    inner = check_text(rest, dialect)
    if inner.kind != "select":
        raise QueryRefused("only a SELECT can be explained")
    return GuardedQuery(sql=head[0] + inner.sql, kind="explain", tables=inner.tables)


def check_select(text: str, tokens: list[Token], dialect: str) -> GuardedQuery:
    if any(token.token_type is TokenType.SEMICOLON for token in tokens):
        raise QueryRefused("only one statement can run at a time")
    first = next((token for token in tokens if token.token_type is not TokenType.L_PAREN), None)
    if first is None:
        raise QueryRefused("there is no statement")
    if not any(is_word(first, word) for word in READING):
        raise QueryRefused(not_reading(first.text.upper()))
    check_tokens(text, tokens, dialect)
    statements = (
        Dialect.get_or_raise(dialect).parser(error_level=ErrorLevel.RAISE).parse(tokens, text)
    )
    if len(statements) != 1 or statements[0] is None:
        raise QueryRefused("only one statement can run at a time")
    root = described(statements[0])
    if not isinstance(root, ROOTS) or (
        isinstance(root, exp.Summarize) and not isinstance(root.this, exp.Table | exp.Query)
    ):
        raise QueryRefused(not_reading(first.text.upper()))
    return GuardedQuery(sql=text, kind="select", tables=check_tree(root, dialect))


def described(root: exp.Expr) -> exp.Expr:
    """What a DESCRIBE of a query describes; the engine plans it and does not run it."""
    return root.this if isinstance(root, exp.Describe) and not root.args.get("style") else root


def check_tree(root: exp.Expr, dialect: str) -> tuple[str, ...]:
    """Every node may stand in a statement that only reads; gives the tables read."""
    local = {cte.alias_or_name.lower() for cte in root.find_all(exp.CTE)}
    tables: dict[str, None] = {}
    for node in root.walk():
        if isinstance(node, WRITING):
            raise QueryRefused(
                f"only reading is allowed here, and this statement holds {named(node)}"
            )
        if node.args.get("settings"):
            raise QueryRefused("SETTINGS inside a statement is refused")
        if isinstance(node, exp.Table) and node.name:
            path = ".".join(part.name for part in node.parts)
            if path.lower() not in local:
                check_table(path, dialect)
                tables[path] = None
    return tuple(tables)


def check_table(path: str, dialect: str) -> None:
    schema_and_name = ".".join(path.split(".")[-2:])
    if CATALOGS.fullmatch(schema_and_name) or CATALOGS.fullmatch(path.rpartition(".")[2]):
        raise QueryRefused(f"{path} holds what nobody should read here")
    if dialect in ("duckdb", "spark", "databricks") and FILE_TABLE.fullmatch(path):
        raise QueryRefused("a table name that is a file path would read the file")
    if dialect == "snowflake" and path.startswith("@"):
        raise QueryRefused("a stage is a place of files, not a table")


def not_reading(word: str) -> str:
    why = FIRST_WORDS.get(word, "it is not among the statements that may run")
    return f"{word} is refused: {why}. Allowed are {ALLOWED}"


def named(node: exp.Expr) -> str:
    names = {"Into": "INTO", "Lock": "FOR UPDATE or another lock", "Hint": "an optimizer hint"}
    kind = type(node).__name__
    return names.get(kind, kind.upper())


def reason_of(error: Exception) -> str:
    """The parser's first line, without its terminal colours."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() or ["unknown"]
    return lines[0].strip().rstrip(".")
