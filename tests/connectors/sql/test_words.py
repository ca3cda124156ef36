"""Vendors' errors in our words, TLS options, and names that several schemas share: pure parts, without a server."""

import ssl
from collections.abc import Sequence
from typing import ClassVar

import pytest

from databot.connectors.base import TableInfo, TableName
from databot.connectors.sql.address import parse_address
from databot.connectors.sql.catalog import Catalog
from databot.connectors.sql.driver import Driver, Pong, Rows, Target
from databot.connectors.sql.drivers import mysql_errors, postgres_errors
from databot.connectors.sql.drivers.mysql_tls import tls_context
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


def test_tls_is_off_verified_or_only_encrypted_as_the_url_says() -> None:
    def context(query: str) -> ssl.SSLContext | None:
        return tls_context(parse_address(f"mysql://h/d{query}"))

    assert context("") is None
    assert context("?sslmode=disable") is None
    required, verified = context("?ssl-mode=REQUIRED"), context("?ssl_mode=verify_identity")
    assert required is not None
    assert verified is not None
    assert (required.verify_mode, required.check_hostname) == (ssl.CERT_NONE, False)
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    with pytest.raises(ConfigError, match="certificate file"):
        context("?sslmode=required&ssl_cert=/no/such.pem")


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
