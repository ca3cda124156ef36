"""Accounts that must encrypt, or show a certificate: what they reach, what they are told, how their queries are cancelled."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from databot.connectors.base import HealthState
from databot.connectors.sql.config import SqlConfig
from databot.connectors.sql.connector import SQLConnector
from databot.types.errors import ConnectorError, describe
from tests.connectors.databases import ENDLESS, postgres_admin
from tests.connectors.fronts import HELLO, front_of
from tests.connectors.tls_places import PASSWORD, WHO, Place, cipher_of, failure, place

__all__ = ["place"]
pytestmark = pytest.mark.service
RUNNING = {
    "postgres": "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%endless%' AND pid <> pg_backend_pid()",
    "mysql": "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query' AND INFO LIKE '%endless%' AND ID <> CONNECTION_ID()",
}


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


async def test_a_socket_of_the_machine_needs_no_encryption_and_is_not_blamed(
    postgres_url: str,
) -> None:
    folder = (await postgres_admin(postgres_url, "SHOW unix_socket_directories"))[0][0]
    url = f"{postgres_url.replace('@127.0.0.1:', '@:')}?host={folder}"
    source = SQLConnector("shop", SqlConfig.model_validate({"type": "sql", "url": url}))
    health = await source.health()
    await source.aclose()
    assert health.state is not HealthState.DOWN
    assert "encrypted" not in health.detail


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
        assert HELLO in heard


async def until_running(place: Place, wanted: int) -> None:
    """Wait until the server counts so many; each look is a round trip, so this does not spin."""
    async with asyncio.timeout(15):
        while (await place.ask(RUNNING[place.engine]))[0][0] != wanted:
            pass
