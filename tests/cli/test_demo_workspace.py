"""The demo workspace: the same every time, renewed each day, never over somebody's own changes."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from databot.app.company.rows import make_company
from databot.app.demo import prepare_demo
from databot.config.settings import Settings
from databot.types.errors import ConfigError

TODAY = date(2026, 3, 2)


def ask(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "company.db")) as connection:
        return connection.execute(sql).fetchall()


def prepare(folder: Path, today: date = TODAY) -> list[str]:
    said: list[str] = []
    prepare_demo(folder, today, said.append)
    return said


def test_the_same_day_gives_the_same_company() -> None:
    assert make_company(TODAY) == make_company(TODAY)


def test_the_company_has_thousands_of_orders_and_some_on_every_day(tmp_path: Path) -> None:
    prepare(tmp_path)
    [(orders, days, first, last)] = ask(
        tmp_path,
        "SELECT count(*), count(DISTINCT date(ordered_at)), min(date(ordered_at)), max(date(ordered_at)) FROM orders",
    )
    assert isinstance(orders, int)
    assert orders > 3000
    assert days == 730
    assert first == (TODAY - timedelta(days=730)).isoformat()
    assert last == (TODAY - timedelta(days=1)).isoformat()


def test_foreign_keys_hold_and_names_are_not_shared(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert ask(tmp_path, "PRAGMA foreign_key_check") == []
    assert ask(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(tmp_path, "SELECT count(*) - count(DISTINCT name) FROM customers") == [(0,)]


def test_nobody_orders_before_they_signed_up(tmp_path: Path) -> None:
    prepare(tmp_path)
    early = "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.ordered_at < c.signed_up_on"
    assert ask(tmp_path, early) == [(0,)]


def test_preparing_again_changes_nothing_on_the_same_day(tmp_path: Path) -> None:
    assert len(prepare(tmp_path)) == 3
    before = (tmp_path / "company.db").stat().st_mtime_ns
    assert prepare(tmp_path) == [f"databot: demo workspace in {tmp_path}"]
    assert (tmp_path / "company.db").stat().st_mtime_ns == before


def test_the_next_day_has_its_yesterday(tmp_path: Path) -> None:
    prepare(tmp_path)
    prepare(tmp_path, TODAY + timedelta(days=1))
    assert ask(tmp_path, "SELECT max(date(ordered_at)) FROM orders") == [(TODAY.isoformat(),)]


def test_a_broken_database_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "company.db").write_bytes(b"not a database" * 100)
    prepare(tmp_path)
    assert ask(tmp_path, "SELECT count(*) FROM products") == [(28,)]


def test_edited_configuration_and_documents_are_kept(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "config.yaml").write_text("llm: {model: mine}")
    (tmp_path / "docs" / "metrics.md").write_text("ours")
    prepare(tmp_path, TODAY + timedelta(days=1))
    assert "mine" in (tmp_path / "config.yaml").read_text()
    assert (tmp_path / "docs" / "metrics.md").read_text() == "ours"


def test_the_configuration_is_valid_and_points_at_what_was_made(tmp_path: Path) -> None:
    prepare(tmp_path)
    settings = Settings.load(tmp_path / "config.yaml", {})
    assert settings.connectors["company"]["url"] == "sqlite:///company.db"
    assert [path.name for path in settings.rag.sources] == ["docs"]
    assert len(list((tmp_path / "docs").glob("*.md"))) == 4


def test_the_documents_name_only_columns_and_values_that_exist(tmp_path: Path) -> None:
    prepare(tmp_path)
    dictionary = (tmp_path / "docs" / "data-dictionary.md").read_text()
    for table, column in (
        ("orders", "status"),
        ("orders", "sales_channel"),
        ("customers", "segment"),
        ("products", "category"),
        ("support_tickets", "priority"),
    ):
        for (value,) in ask(tmp_path, f"SELECT DISTINCT {column} FROM {table}"):
            assert f"`{value}`" in dictionary, (table, column)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        prepare(tmp_path / "file" / "demo")
