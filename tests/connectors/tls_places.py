"""Servers that take TLS, for the tests of it: their addresses, their certificates, what they say of a connection."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from databot.connectors.base import CallContext, HealthState, QueryLimits
from databot.connectors.sql.address import parse_address
from databot.connectors.sql.config import SqlConfig
from databot.connectors.sql.connector import SQLConnector
from databot.connectors.sql.driver import Target
from databot.connectors.sql.engines import make_driver
from databot.types.errors import ConnectorError, describe
from tests.conftest import server_url
from tests.connectors.databases import mysql_admin, postgres_admin

WHO = CallContext()
LIMITS = QueryLimits(max_rows=10, max_bytes=10_000, timeout_s=20)
PASSWORD = "p@ss/w:rd"
IN_URL = "p%40ss%2Fw%3Ard"
CIPHER = {
    "postgres": "SELECT COALESCE(cipher, '') AS cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mysql": "SELECT VARIABLE_VALUE AS cipher FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server that takes TLS; its certificate is for the name `localhost` and no other."""

    engine: str
    admin: str
    folder: Path
    user: str = "databot"
    host: str = "localhost"
    port: int = 0

    def url(self, **options: str) -> str:
        address = parse_address(self.admin)
        scheme = {"postgres": "postgresql", "mysql": "mysql"}[self.engine]
        place = f"{self.host}:{self.port or address.port}/{address.database}"
        return f"{scheme}://{self.user}:{IN_URL}@{place}?{urlencode(options)}"

    def source(self, **options: str) -> SQLConnector:
        config = SqlConfig.model_validate({"type": "sql", "url": self.url(**options)})
        return SQLConnector("shop", config)

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def given(self, options: dict[str, str]) -> dict[str, str]:
        """The options with the names of files as paths."""
        return {
            name: self.file(value) if value.endswith((".crt", ".crl", ".key")) else value
            for name, value in options.items()
        }

    async def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return await {"postgres": postgres_admin, "mysql": mysql_admin}[self.engine](
            self.admin, sql
        )


@pytest.fixture(params=["postgres", "mysql"])
def place(request: pytest.FixtureRequest) -> Place:
    folder = Path(server_url("DATABOT_TEST_TLS", "server with TLS"))
    admin: str = request.getfixturevalue(f"{request.param}_url")
    return Place(engine=request.param, admin=admin, folder=folder)


async def cipher_of(place: Place, **options: str) -> str:
    """What the server says of a connection: the name of a cipher, or nothing. The guard does not let this through."""
    driver = make_driver(
        Target(name="shop", address=parse_address(place.url(**options))), allow_unverified=False
    )
    try:
        rows = await driver.run(CIPHER[place.engine], LIMITS, "tls")
    finally:
        await driver.aclose()
    return rows.table.to_pylist()[0]["cipher"]


async def failure(source: SQLConnector) -> ConnectorError:
    """The error a query gives; its health is down with the same line."""
    try:
        with pytest.raises(ConnectorError) as caught:
            await source.query("SELECT 1 AS one", WHO)
        health = await source.health()
    finally:
        await source.aclose()
    line = describe(caught.value)
    assert (health.state, health.detail) == (HealthState.DOWN, line)
    assert "\n" not in line
    assert PASSWORD not in line
    return caught.value
