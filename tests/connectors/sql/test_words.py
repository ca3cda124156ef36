"""Vendors' errors in our words, TLS options, and names that several schemas share: pure parts, without a server."""

from collections.abc import Sequence
from typing import ClassVar

import pytest

from databot.connectors.base import TableInfo, TableName
from databot.connectors.sql.address import parse_address
from databot.connectors.sql.catalog import Catalog
from databot.connectors.sql.driver import Driver, Pong, Rows, Target
from databot.connectors.sql.drivers import mysql_errors, postgres_errors
from databot.connectors.sql.tls import tls_of_address
from databot.types.clock import SystemClock
from databot.types.errors import ConfigError, ConnectorError

TARGET = Target(name="shop", address=parse_address("mysql://ada:hunter2@db/shop"))


class ServerError(Exception):
    """An error with a SQLSTATE, as asyncpg's have."""

    hint: ClassVar[str | None] = None

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "kind", "retryable"),
    [
        ("28P01", "auth", False),
        ("3D000", "not_found", False),
        ("42501", "forbidden", False),
        ("25006", "read_only", False),
        ("57014", "timeout", False),
        ("55P03", "timeout", True),
        ("53300", "rate_limited", True),
        ("57P03", "unavailable", True),
        ("08006", "unavailable", True),
        ("42703", "bad_request", False),
        ("", "unavailable", True),
    ],
)
def test_a_postgres_state_has_a_kind(state: str, kind: str, retryable: bool) -> None:
    error = postgres_errors.translate(TARGET, ServerError(state, "no, hunter2\nDETAIL: x"))
    assert (error.kind, error.retryable) == (kind, retryable)
    assert "hunter2" not in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1045, "auth"), (1049, "not_found"), (1142, "forbidden"), (1792, "read_only"), (1969, "timeout"), (3024, "timeout"),
        (1317, "cancelled"), (1040, "rate_limited"), (2003, "unavailable"), (2013, "unavailable"), (1064, "bad_request"),
    ],
)  # fmt: skip
def test_a_mysql_number_has_a_kind(number: int, kind: str) -> None:
    error = mysql_errors.translate(TARGET, Exception(number, "no, hunter2"))
    assert error.kind == kind
    assert "hunter2" not in error.message


def asked(url: str) -> tuple[str, str]:
    tls = tls_of_address(parse_address(url))
    assert tls is not None
    return tls.mode, tls.root


@pytest.mark.parametrize(
    ("query", "mode", "root"),
    [
        ("sslmode=verify-full&sslrootcert=/ca", "verify-full", "/ca"),
        ("ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca", "verify-full", "/ca"),
        ("ssl_mode=verify_ca&ssl_ca=/ca", "verify-ca", "/ca"),
        ("ssl-mode=REQUIRED", "require", ""),
        ("ssl=true", "require", ""),
        ("ssl=false", "disable", ""),
        ("ssl_ca=/ca", "verify-full", "/ca"),
        ("ssl_cert=/c&ssl_key=/k", "require", ""),
    ],
)
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_tls_is_understood_in_the_spellings_of_other_clients(
    scheme: str, query: str, mode: str, root: str
) -> None:
    assert asked(f"{scheme}://h/d?{query}") == (mode, root)


def test_a_url_that_says_nothing_of_tls_leaves_it_to_the_client() -> None:
    assert tls_of_address(parse_address("postgresql://h/d?search_path=x")) is None


def test_tls_said_in_two_spellings_is_refused() -> None:
    with pytest.raises(ConfigError, match="sslmode twice"):
        asked("mysql://h/d?sslmode=disable&ssl-mode=REQUIRED")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption', "TLS"),
        ('no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", SSL off', "TLS"),
        ("connection requires a valid client certificate", "sslcert"),
        ("password authentication failed", "user and password"),
    ],
)
def test_a_refused_login_says_what_to_change(text: str, hint: str) -> None:
    error = postgres_errors.translate(TARGET, ServerError("28000", text))
    assert (error.kind, hint in error.hint) == ("auth", True)


class Listed(Driver):
    """A driver that has these tables and does nothing else."""

    def __init__(self, *names: tuple[str, str]) -> None:
        self.dialect = "postgres"
        self.default_schema = "public"
        self._tables = tuple(
            TableInfo(table=TableName(schema=schema, name=name), columns=())
            for schema, name in names
        )

    async def run(self, statement: str, limits: object, label: str) -> Rows:
        raise NotImplementedError

    async def introspect(self, timeout_s: float) -> Sequence[TableInfo]:
        return self._tables

    async def ping(self, timeout_s: float) -> Pong:
        raise NotImplementedError

    async def aclose(self) -> None: ...


async def found(name: str, *names: tuple[str, str]) -> str:
    catalog = Catalog(Listed(*names), SystemClock(), ttl_s=1, timeout_s=1)
    return (await catalog.find(name, "shop")).table.qualified


async def test_a_bare_name_prefers_the_default_schema_and_the_exact_case() -> None:
    shared = (("sales", "orders"), ("public", "orders"), ("public", "Orders"))
    assert await found("orders", *shared) == "public.orders"
    assert await found("Orders", *shared) == "public.Orders"
    assert await found("SALES.ORDERS", *shared) == "sales.orders"
    assert await found('warehouse."sales"."orders"', *shared) == "sales.orders"


async def test_a_name_of_several_schemas_is_asked_back() -> None:
    with pytest.raises(ConnectorError, match=r"several tables .* a\.t, b\.t") as caught:
        await found("t", ("a", "t"), ("b", "t"))
    assert (caught.value.kind, caught.value.hint) == ("bad_request", "use the qualified name")


async def test_a_name_like_nothing_says_how_to_see_the_names() -> None:
    with pytest.raises(ConnectorError) as caught:
        await found("qqq", ("a", "zz"))
    assert "list the tables" in caught.value.hint
