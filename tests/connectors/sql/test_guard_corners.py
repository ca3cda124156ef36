"""Corners of the SQL gate: what can only be explained, where a statement ends, and strings nobody can be sure of."""

import pytest

from databot.connectors.sql.guard import check_sql
from databot.types.errors import QueryRefused


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("mysql", "EXPLAIN SHOW TABLES"),
        ("mysql", "EXPLAIN DESCRIBE orders"),
        ("sqlite", "EXPLAIN PRAGMA table_info(x)"),
        ("duckdb", "EXPLAIN SHOW TABLES"),
    ],
)
def test_only_a_select_can_be_explained(dialect: str, sql: str) -> None:
    with pytest.raises(QueryRefused, match="only a SELECT can be explained"):
        check_sql(sql, dialect)


@pytest.mark.parametrize(
    "sql", ["SELECT 1;;", "SELECT 1 ; ; ;", "SELECT 1; -- the end", "SELECT 1; /* the end */ ;"]
)
@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite", "duckdb"])
def test_semicolons_and_comments_at_the_end_are_no_second_statement(dialect: str, sql: str) -> None:
    assert check_sql(sql, dialect).sql == "SELECT 1"


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite", "duckdb"])
def test_a_statement_behind_a_comment_is_a_second_one(dialect: str) -> None:
    with pytest.raises(QueryRefused):
        check_sql("SELECT 1; -- the end\nDELETE FROM t", dialect)


def test_a_command_inside_a_statement_is_refused_by_its_name() -> None:
    with pytest.raises(QueryRefused, match="VACUUM cannot be checked inside a statement"):
        check_sql("SELECT (VACUUM x)", "postgres")


@pytest.mark.parametrize("sql", ["SELECT '''a'b'''", 'SELECT """a"b"""'])
def test_a_string_that_two_readers_would_end_in_two_places_is_refused(sql: str) -> None:
    with pytest.raises(QueryRefused, match="cannot be read with certainty"):
        check_sql(sql, "bigquery")
