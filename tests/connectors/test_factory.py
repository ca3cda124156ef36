"""A connector from its options: what is wrong is named by its path, and never by its value."""

import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import pytest

from databot.connectors.base import BaseConnector
from databot.connectors.factory import create_connector
from databot.connectors.sql.connector import SQLConnector
from databot.types.errors import ConfigError, MissingExtra

KINDS: Mapping[str, type[BaseConnector]] = {"sql": SQLConnector}


def create(**options: Any) -> BaseConnector:  # noqa: ANN401 - options of a connector
    return create_connector("warehouse", options, KINDS)


def test_a_connector_is_built_from_its_options_and_nothing_is_opened() -> None:
    connector = create(type="sql", url="sqlite:////no/such/file.db", max_rows=5)
    assert isinstance(connector, SQLConnector)
    assert (connector.name, connector.dialect, connector.config.max_rows) == (
        "warehouse", "sqlite", 5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"connectors\.warehouse\.type is missing"),
        ({"type": "sqll"}, r"connectors\.warehouse\.type: there is no connector type 'sqll'"),
        ({"type": 3}, r"connectors\.warehouse\.type"),
        ({"type": "sql"}, r"connectors\.warehouse\.url: field required"),
        (
            {"type": "sql", "url": "sqlite:///x", "max_row": 1},
            r"unknown key 'connectors\.warehouse\.max_row'; did you mean 'connectors\.warehouse\.max_rows'\?",
        ),
        ({"type": "sql", "url": "sqlite:///x", "zzzzzz": 1}, "the keys are: type, url, read_only"),
        ({"type": "sql", "url": "sqlite:///x", "max_rows": 0}, r"connectors\.warehouse\.max_rows"),
        ({"type": "sql", "url": "nonsense"}, r"connectors\.warehouse: the database URL has no scheme"),
        ({"type": "sql", "url": "sqlite://"}, "names no file"),
        ({"type": "sql", "url": "duckdb:///:memory:"}, "names no file"),
        ({"type": "sql", "url": "postgresql://h/d?sslmod=x"}, "unknown option 'sslmod'"),
        ({"type": "sql", "url": "mysql://h:99999/d"}, "impossible port"),
        ({"type": "sql", "url": "mysql://h/d?sslmode=hunter2"}, "sslmode has an unknown value"),
        ({"type": "sql", "url": "postgresql://h/d?sslmode=hunter2"}, "sslmode has an unknown value"),
        ({"type": "sql", "url": "postgresql://h/d?sslmode=prefer&sslrootcert=x"}, "sslrootcert means nothing"),
        ({"type": "sql", "url": "postgresql://h/d?sslmode=disable&ssl=true"}, "says sslmode twice"),
        ({"type": "sql", "url": "mysql://h/d?ssl_mode=verify_ca"}, "verify-ca needs sslrootcert"),
        ({"type": "sql", "url": "oracle://u:hunter2@h/d"}, "cannot make oracle itself refuse writes"),
        (
            {"type": "sql", "url": "nosuch://u:hunter2@h/d", "allow_unverified_read_only": True},
            "no grammar for the SQL of 'nosuch'",
        ),
        (
            {"type": "sql", "url": "oracle+nosuch://u:hunter2@h", "allow_unverified_read_only": True},
            "nothing here knows oracle",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        create(**options)
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_an_unknown_type_tells_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        create(type="sqlx")
    assert "did you mean 'sql'?" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql://h/d", "asyncpg", "postgres"),
        ("mysql://h/d", "asyncmy", "mysql"),
        ("duckdb:///x.duckdb", "duckdb", "duckdb"),
    ],
)
def test_a_missing_client_is_told_with_the_extra_that_brings_it(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hidden:
        def find_spec(self, name: str, *_: object) -> None:
            if name == module:
                raise ModuleNotFoundError(name)

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])
    with pytest.raises(MissingExtra) as caught:
        create(type="sql", url=url)
    assert caught.value.extra == extra
    assert f"databot-daemon[{extra}]" in caught.value.hint


def test_the_sql_connector_enters_by_the_same_door_as_plugins() -> None:
    found = {entry.name: entry.load() for entry in entry_points(group="databot.connectors")}
    assert found.get("sql") is SQLConnector


def test_the_url_is_never_shown() -> None:
    connector = create(type="sql", url="postgresql://ada:hunter2@h/d")
    assert "hunter2" not in repr(connector.config)
    assert "hunter2" not in repr(vars(connector))
