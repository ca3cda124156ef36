"""TLS to real servers: what is encrypted is shown by the server and the wire, what fails by one line, never in plain text."""

import asyncio
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from databot.types.errors import ConnectorError
from tests.connectors.databases import run_now
from tests.connectors.fronts import SSL_REQUEST, front_of
from tests.connectors.tls_places import WHO, Place, cipher_of, failure, place

__all__ = ["place"]
pytestmark = pytest.mark.service
CERTIFICATE = {"postgres": "postgres.crt", "mysql": "mariadb.crt"}


@pytest.fixture
def expired(place: Place) -> Generator[Place]:
    """The same server, while it shows a certificate that has expired."""
    used = place.folder / CERTIFICATE[place.engine]
    shutil.copyfile(place.folder / "expired.crt", used)
    try:
        run_now(reload_certificate(place))
        yield place
    finally:
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
        ({"sslrootcert": "ca.crt", "sslcrl": "clean.crl"}, True),
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
        ("localhost", {"sslrootcert": "ca.crt", "sslcrl": "revoked.crl"}, "certificate was revoked", "renew it"),
        ("localhost", {"sslrootcert": "ca.crt", "sslcrl": "stranger.crt"}, "list of revoked certificates does not cover", "sslcrl"),
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


async def test_a_handshake_that_fails_is_told_and_only_prefer_goes_on_without(
    place: Place,
) -> None:
    async with front_of(place.admin, refuses=True) as front:
        relayed = replace(place, port=front.at)
        error = await failure(relayed.source(sslmode="require"))
        assert not any(b"databot" in heard for heard in front.sent)
        assert await cipher_of(relayed, sslmode="prefer") == ""
    assert "the TLS connection failed (sslv3 alert handshake failure)" in error.message
    assert error.retryable


async def test_pgsslmode_holds_where_a_postgres_url_says_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert bool(await cipher_of(place)) is (place.engine != "postgres")
    assert await cipher_of(place, sslmode="require")


async def test_a_handshake_that_never_ends_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("postgres", "mysql"):
        monkeypatch.setattr(f"databot.connectors.sql.drivers.{module}_dial.CONNECT_TIMEOUT_S", 0.5)
    async with front_of(place.admin, mute=True) as front:
        error = await failure(replace(place, port=front.at).source(sslmode="require"))
    assert "no answer within 0.5 s" in error.message
    assert error.retryable
