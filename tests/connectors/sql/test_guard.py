"""The SQL gate alone, without any database."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databot.connectors.sql.guard import GuardedQuery, check_sql
from databot.types.errors import QueryRefused
from tests.connectors.sql.attacks import BY_DIALECT, attacks

DIALECTS = tuple(BY_DIALECT)
BENIGN = Path(__file__).parent / "benign"


def benign(dialect: str) -> list[str]:
    return (BENIGN / f"{dialect}.sql").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("dialect", "sql"), attacks())
def test_a_statement_that_does_more_than_read_is_refused(dialect: str, sql: str) -> None:
    with pytest.raises(QueryRefused):
        check_sql(sql, dialect)


@pytest.mark.parametrize(
    ("dialect", "sql"), [(dialect, sql) for dialect in DIALECTS for sql in benign(dialect)]
)
def test_an_analytical_statement_passes(dialect: str, sql: str) -> None:
    assert check_sql(sql, dialect).sql


@pytest.mark.parametrize("dialect", DIALECTS)
def test_there_are_fifty_analytical_statements_a_dialect(dialect: str) -> None:
    assert len(set(benign(dialect))) >= 50


@pytest.mark.parametrize("dialect", ["", "nosuch", "POSTGRES"])
def test_without_a_grammar_nothing_passes(dialect: str) -> None:
    with pytest.raises(QueryRefused, match="no grammar is known"):
        check_sql("SELECT 1", dialect)


def test_the_statement_that_runs_is_the_authors_own_without_its_comments() -> None:
    guarded = check_sql(
        "SELECT a, -- first\n  b::int /* second */ FROM t FETCH FIRST 5 ROWS ONLY ;;", "postgres"
    )
    assert guarded.sql == "SELECT a,\nb::int FROM t FETCH FIRST 5 ROWS ONLY"


def test_a_comment_hides_nothing_however_engines_nest_them() -> None:
    hidden = "SELECT 1 /* /* */ , pg_sleep(9) /* */ */"
    assert check_sql(hidden, "postgres").sql == "SELECT 1"
    with pytest.raises(QueryRefused):
        check_sql(hidden.replace("pg_sleep", "load_file"), "mysql")


def test_what_passed_passes_again_unchanged() -> None:
    for dialect in DIALECTS:
        for sql in benign(dialect):
            once = check_sql(sql, dialect)
            assert check_sql(once.sql, dialect) == once


def test_the_tables_read_are_named_and_common_table_expressions_are_not() -> None:
    sql = 'WITH x AS (SELECT * FROM sales."Orders") SELECT * FROM x JOIN customers USING (id)'
    assert check_sql(sql, "postgres") == GuardedQuery(
        sql=sql, kind="select", tables=("customers", "sales.Orders")
    )


@pytest.mark.parametrize(
    ("sql", "dialect", "reason"),
    [
        ("DELETE FROM t", "postgres", "DELETE is refused: it deletes rows"),
        ("SELECT 1; SELECT 2", "postgres", "only one statement can run at a time"),
        ("EXPLAIN ANALYZE SELECT 1", "postgres", "runs the statement; use EXPLAIN alone"),
        ("SELECT pg_sleep(1)", "postgres", "the function pg_sleep is refused"),
        ("SELECT a INTO b FROM c", "postgres", "INTO writes the result somewhere"),
        ("SELECT 1 FOR UPDATE", "postgres", "FOR UPDATE or another lock"),
        ("FROM 'x.csv'", "duckdb", "would read the file"),
        ("SELEC 1", "sqlite", "SELEC is refused: it is not among the statements that may run"),
        ("SELECT (1", "sqlite", "the statement cannot be read"),
        ("", "sqlite", "there is no statement"),
        ("SELECT * FROM mysql.user", "mysql", "holds what nobody should read"),
    ],
)
def test_a_refusal_says_why(sql: str, dialect: str, reason: str) -> None:
    with pytest.raises(QueryRefused, match=reason) as caught:
        check_sql(sql, dialect)
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("dialect", "kind"), [("sqlite", "show"), ("duckdb", "show"), ("mysql", "show")]
)
def test_looking_at_the_schema_is_its_own_kind(dialect: str, kind: str) -> None:
    sql = {"sqlite": "PRAGMA table_info(t)", "duckdb": "SHOW TABLES", "mysql": "SHOW TABLES"}
    assert check_sql(sql[dialect], dialect).kind == kind


def test_a_leading_comment_does_not_hide_an_explain() -> None:
    guarded = check_sql("-- why\n/* oh */ EXPLAIN SELECT * FROM t -- x", "postgres")
    assert guarded == GuardedQuery(sql="EXPLAIN SELECT * FROM t", kind="explain", tables=("t",))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(DIALECTS),
    st.lists(
        st.sampled_from(
            ["SELECT", "1", "'", "\"", "`", "--", "/*", "*/", "/*!", "#", "\\", ";", "$$", "E'", "x",
             "FROM", "t", "(", ")", ",", "INTO", "\n", " ", "DELETE", "WITH", "AS", "EXPLAIN", "SHOW", "'a'"]
        ),
        max_size=25,
    ),
)  # fmt: skip
def test_any_text_is_passed_or_refused_and_what_passed_stays_passed(
    dialect: str, words: list[str]
) -> None:
    try:
        guarded = check_sql(" ".join(words), dialect)
    except QueryRefused:
        return
    assert check_sql(guarded.sql, dialect).sql == guarded.sql
