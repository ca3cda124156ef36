"""TLS to real servers: what is encrypted is shown by the server and the wire, what fails by one line, never in plain text."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, replace
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
from tests.connectors.databases import ENDLESS, mysql_admin, postgres_admin, run_now
from tests.connectors.fronts import SSL_REQUEST, front_of

pytestmark = pytest.mark.service
WHO = CallContext()
LIMITS = QueryLimits(max_rows=10, max_bytes=10_000, timeout_s=20)
PASSWORD = "p@ss/w:rd"
IN_URL = "p%40ss%2Fw%3Ard"
CIPHER = {
    "postgres": "SELECT COALESCE(cipher, '') AS cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mysql": "SELECT VARIABLE_VALUE AS cipher FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'",
}
RUNNING = {
    "postgres": "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%endless%' AND pid <> pg_backend_pid()",
    "mysql": "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query' AND INFO LIKE '%endless%' AND ID <> CONNECTION_ID()",
}
CERTIFICATE = {"postgres": "postgres.crt", "mysql": "mariadb.crt"}


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
            name: self.file(value) if value.endswith((".crt", ".key")) else value
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


@pytest.fixture(params=["databot_tls", "databot_certified"])
async def account(place: Place, request: pytest.FixtureRequest) -> AsyncGenerator[Place]:
    """An account that must encrypt; `databot_certified` must show a certificate too."""
    name = request.param
    if place.engine == "postgres":  # what they must do stands in the server's pg_hba.conf
        made = (f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'",)
        gone = f"DROP ROLE IF EXISTS {name}"
    else:
        demand = "SSL" if name == "databot_tls" else "X509"
        made = (
            f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' REQUIRE {demand}",
            f"GRANT SELECT ON *.* TO {name}@'127.0.0.1'",
        )
        gone = f"DROP USER IF EXISTS {name}@'127.0.0.1'"
    for statement in (gone, *made):
        await place.ask(statement)
    yield replace(place, user=name)
    await place.ask(gone)


@pytest.fixture
def expired(place: Place) -> Generator[Place]:
    """The same server, while it shows a certificate that has expired."""
    used = place.folder / CERTIFICATE[place.engine]
    shutil.copyfile(place.folder / "expired.crt", used)
    run_now(reload_certificate(place))
    yield place
    shutil.copyfile(place.folder / "good.crt", used)
    run_now(reload_certificate(place))


async def reload_certificate(place: Place) -> None:
    if place.engine == "mysql":
        await place.ask("FLUSH SSL")
        return
    before = await place.ask("SELECT pg_conf_load_time()")
    await place.ask("SELECT pg_reload_conf()")
    async with asyncio.timeout(15):
        while await place.ask("SELECT pg_conf_load_time()") == before:
            pass  # a new connection each time: only those see it


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


@pytest.mark.parametrize(
    ("options", "encrypted"),
    [
        ({}, True),
        ({"sslmode": "prefer"}, True),
        ({"sslmode": "require"}, True),
        ({"sslmode": "verify-ca", "sslrootcert": "ca.crt"}, True),
        ({"sslmode": "verify-full", "sslrootcert": "ca.crt"}, True),
        ({"sslrootcert": "ca.crt", "ssl_min_protocol_version": "TLSv1.3"}, True),
        ({"sslrootcert": "ca.crt", "ssl_max_protocol_version": "TLSv1.2"}, True),
        ({"sslmode": "disable"}, False),
    ],
)
async def test_a_connection_is_encrypted_as_the_url_says(
    place: Place, options: dict[str, str], encrypted: bool
) -> None:
    assert bool(await cipher_of(place, **place.given(options))) is encrypted
    source = place.source(**place.given(options))
    health = await source.health()
    await source.aclose()
    version = options.get("ssl_max_protocol_version", "TLSv1.3")
    assert (version if encrypted else "not encrypted") in health.detail


@pytest.mark.parametrize(
    ("host", "options", "what", "change"),
    [
        ("localhost", {"sslrootcert": "stranger.crt"}, "authority that is not trusted", "sslrootcert"),
        ("localhost", {"sslmode": "verify-full"}, "authority that is not trusted", "sslrootcert"),
        ("localhost", {"sslmode": "require", "sslrootcert": "stranger.crt"}, "authority that is not trusted", "sslrootcert"),
        ("127.0.0.1", {"sslmode": "verify-full", "sslrootcert": "ca.crt"}, "another host name", "verify-ca"),
        ("localhost", {"sslrootcert": "no-such.crt"}, "file of sslrootcert does not exist: .*no-such.crt", "folder databot is started in"),
        ("localhost", {"sslrootcert": "server.key"}, "file of sslrootcert is not what it should be", ""),
        ("localhost", {"sslmode": "require", "sslcert": "client.crt"}, "file of sslcert", ""),
        ("localhost", {"sslmode": "require", "sslcert": "client.crt", "sslkey": "server.key"}, "file of sslcert does not fit the key", ""),
    ],
)  # fmt: skip
async def test_what_cannot_be_trusted_or_read_is_one_line_that_says_what_to_change(
    place: Place, host: str, options: dict[str, str], what: str, change: str
) -> None:
    error = await failure(replace(place, host=host).source(**place.given(options)))
    assert error.kind == "unavailable"
    assert not error.retryable
    with pytest.raises(ConnectorError, match=what):
        raise error
    assert change in error.hint


async def test_a_name_that_is_not_looked_at_does_not_hinder(place: Place) -> None:
    numbered = replace(place, host="127.0.0.1")
    assert await cipher_of(numbered, sslmode="verify-ca", sslrootcert=place.file("ca.crt"))


async def test_an_expired_certificate_is_told_as_such(expired: Place) -> None:
    error = await failure(expired.source(sslrootcert=expired.file("ca.crt")))
    assert "the server's certificate has expired" in error.message
    assert "renew it on the server" in error.hint


async def test_a_file_that_was_replaced_counts_for_the_next_connection(
    place: Place, tmp_path: Path
) -> None:
    root = tmp_path / "ca.crt"
    shutil.copyfile(place.folder / "stranger.crt", root)
    source = place.source(sslrootcert=str(root))
    with pytest.raises(ConnectorError, match="not trusted"):
        await source.query("SELECT 1 AS one", WHO)
    shutil.copyfile(place.folder / "ca.crt", root)
    assert (await source.query("SELECT 1 AS one", WHO)).table.num_rows == 1
    await source.aclose()


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_that_offers_no_tls_gets_no_login_when_tls_is_required(
    place: Place, mode: str
) -> None:
    root = {} if mode == "require" else {"sslrootcert": place.file("ca.crt")}
    async with front_of(place.admin, offers=False) as front:
        error = await failure(replace(place, port=front.at).source(sslmode=mode, **root))
    assert "the server offers no TLS" in error.message
    assert "sslmode=disable" in error.hint
    assert len(front.sent) >= 2  # the query, and the look at its health
    for heard in front.sent:
        assert heard == (SSL_REQUEST if place.engine == "postgres" else b"")


@pytest.mark.parametrize("options", [{}, {"sslmode": "prefer"}])
async def test_only_prefer_goes_on_in_plain_text(place: Place, options: dict[str, str]) -> None:
    async with front_of(place.admin, offers=False) as front:
        relayed = replace(place, port=front.at)
        assert await cipher_of(relayed, **options) == ""
        source = relayed.source(**options)
        assert "not encrypted" in (await source.health()).detail
        await source.aclose()
    assert any(b"databot" in heard for heard in front.sent)


async def test_a_handshake_that_never_ends_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("postgres", "mysql"):
        monkeypatch.setattr(f"databot.connectors.sql.drivers.{module}_dial.CONNECT_TIMEOUT_S", 0.5)
    async with front_of(place.admin, mute=True) as front:
        error = await failure(replace(place, port=front.at).source(sslmode="require"))
    assert "no answer within 0.5 s" in error.message
    assert error.retryable


@pytest.mark.parametrize("account", ["databot_tls"], indirect=True)
async def test_an_account_that_must_encrypt_does_so_unasked(account: Place) -> None:
    assert await cipher_of(account)


@pytest.mark.parametrize("account", ["databot_tls"], indirect=True)
async def test_an_account_that_must_encrypt_and_may_not_is_told_of_sslmode(account: Place) -> None:
    error = await failure(account.source(sslmode="disable"))
    assert error.kind == "auth"
    assert "TLS" in error.hint
    assert "sslmode" in error.hint


@pytest.mark.parametrize("account", ["databot_certified"], indirect=True)
async def test_an_account_that_must_show_a_certificate_does(account: Place) -> None:
    files = {"sslrootcert": "ca.crt", "sslcert": "client.crt", "sslkey": "client.key"}
    assert await cipher_of(account, **account.given(files))


@pytest.mark.parametrize("account", ["databot_certified"], indirect=True)
async def test_a_certificate_of_a_stranger_is_told_as_refused(account: Place) -> None:
    files = {"sslcert": "stranger.crt", "sslkey": "stranger.key"}
    source = account.source(**account.given(files))
    with pytest.raises(ConnectorError) as caught:
        await source.query("SELECT 1 AS one", WHO)
    line = describe(caught.value)  # the server's reason, unless its hanging up overtakes it
    assert "not accept our certificate" in line
    assert "check the files of sslcert and sslkey" in line
    assert (await source.health()).state is HealthState.DOWN
    await source.aclose()


@pytest.mark.parametrize("account", ["databot_certified"], indirect=True)
async def test_an_account_without_its_certificate_is_an_auth_problem(account: Place) -> None:
    error = await failure(account.source(sslmode="require"))
    assert error.kind == "auth"
    if account.engine == "postgres":  # MariaDB does not say why
        assert "sslcert" in error.hint


@pytest.mark.parametrize("account", ["databot_tls"], indirect=True)
async def test_cancelling_ends_the_query_and_is_encrypted_too(account: Place) -> None:
    async with front_of(account.admin) as front:
        source = replace(account, port=front.at).source(sslrootcert=account.file("ca.crt"))
        task = asyncio.ensure_future(source.query(ENDLESS[account.engine], WHO))
        await until_running(account, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until_running(account, 0)
        await source.aclose()
    assert len(front.sent) == 2  # the query's connection, and the one that ended it
    for heard in front.sent:
        assert b"endless" not in heard
        assert b"KILL" not in heard
        assert b"\x04\xd2\x16\x2e" not in heard  # PostgreSQL's CancelRequest
        assert b"\x16\x03\x01" in heard  # a TLS handshake


async def until_running(place: Place, wanted: int) -> None:
    """Wait until the server counts so many; each look is a round trip, so this does not spin."""
    async with asyncio.timeout(15):
        while (await place.ask(RUNNING[place.engine]))[0][0] != wanted:
            pass
