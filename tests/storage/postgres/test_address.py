"""The address of a shared store, and the encryption of the way there, shown by a real server."""

import ssl
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.storage.open import open_store
from databot.storage.postgres.address import Address, address_of
from databot.testing.clock import FakeClock, SequentialIds
from databot.types.errors import ConfigError
from tests.conftest import server_url
from tests.storage.places import postgres_schema


def test_a_url_with_everything() -> None:
    address = address_of(
        "postgresql+asyncpg://ada:p%40ss@db.example:6543/bot?sslmode=disable&search_path=x"
    )
    assert address == Address(
        host="db.example",
        port=6543,
        database="bot",
        user="ada",
        password="p@ss",
        ssl="disable",
        search_path="x",
    )


def test_a_url_with_next_to_nothing() -> None:
    address = address_of("postgresql://")
    assert (address.host, address.port, address.database) == ("localhost", 5432, "postgres")
    assert address_of("postgresql://ada@h/db").ssl is None
    assert address_of("postgresql://ada@[::1]:5433").host == "::1"
    assert address_of("postgresql://ada@/bot?host=/run/postgresql").host == "/run/postgresql"


def test_tls_is_asked_for_as_everywhere() -> None:
    encrypted = address_of("postgresql+asyncpg://h/db?ssl=require").ssl
    assert isinstance(encrypted, ssl.SSLContext)
    assert (encrypted.verify_mode, encrypted.check_hostname) == (ssl.CERT_NONE, False)
    verified = address_of("postgresql+asyncpg://h/db?sslmode=verify-full").ssl
    assert isinstance(verified, ssl.SSLContext)
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sslmode=hunter2", "storage.url: sslmode has an unknown value"),
        ("sslrootcert=/no/such/ca.pem", "file of sslrootcert does not exist: /no/such/ca.pem"),
        ("sslmode=prefer&sslrootcert=/ca", "storage.url: sslrootcert means nothing"),
        ("sslmode=disable&ssl=require", "storage.url says sslmode twice"),
    ],
)
def test_tls_that_cannot_be_is_told_before_anything_is_opened(query: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        address_of(f"postgresql://h/db?{query}")
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


@pytest.fixture
def certificates() -> Path:
    return Path(server_url("DATABOT_TEST_TLS", "server with TLS"))


@pytest.mark.service
async def test_a_store_is_reached_through_verified_tls(
    postgres_url: str, certificates: Path, tmp_path: Path
) -> None:
    async with postgres_schema(by_name(postgres_url)) as url:
        root = quote(str(certificates / "ca.crt"))
        store = open_store(f"{url}&sslrootcert={root}", tmp_path, FakeClock(), SequentialIds())
        async with store as opened:
            await opened.check()
            assert await connections(postgres_url) == [True]


@pytest.mark.service
@pytest.mark.parametrize(
    ("host", "told"), [("localhost", "not trusted"), ("127.0.0.1", "another host name")]
)
async def test_a_store_is_not_opened_on_a_server_that_cannot_be_trusted(
    postgres_url: str, certificates: Path, tmp_path: Path, host: str, told: str
) -> None:
    """By name the certificate is signed by another authority; by number it is made for another host."""
    root = quote(str(certificates / ("stranger.crt" if host == "localhost" else "ca.crt")))
    place = by_name(postgres_url).replace("@localhost:", f"@{host}:")
    url = f"{place.replace('postgresql:', 'postgresql+asyncpg:')}?sslmode=verify-full&sslrootcert={root}"
    with pytest.raises(ConfigError, match=told):
        async with open_store(url, tmp_path, FakeClock(), SequentialIds()):
            pass


def by_name(url: str) -> str:
    """The server's URL with the host name its certificate is made for."""
    return url.replace("@127.0.0.1:", "@localhost:")


async def connections(url: str) -> list[bool]:
    """Which connections databot holds, each whether it is encrypted, as the server says."""
    admin = await asyncpg.connect(url)
    try:
        rows = await admin.fetch(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'databot'"
        )
    finally:
        await admin.close()
    return [row["ssl"] for row in rows]


@pytest.mark.parametrize("password", ["p@ss/w:rd", "a?b#c", "[]{}", "ü ß", "100% sure", "::@@//"])
def test_a_password_may_be_written_as_it_is(password: str) -> None:
    address = address_of(f"postgresql+asyncpg://ada:{password}@h:1/db")
    assert (address.user, address.password, address.host) == ("ada", password, "h")
    assert (address.port, address.database) == (1, "db")


@given(st.text(min_size=1))
def test_a_password_may_be_percent_encoded(password: str) -> None:
    encoded = quote(password.encode("utf-8", "replace"), safe="")
    address = address_of(f"postgresql://ada:{encoded}@h/db")
    assert address.password == password.encode("utf-8", "replace").decode()


def test_the_password_is_never_shown() -> None:
    address = address_of("postgresql://ada:secret@h/db")
    assert "secret" not in repr(address) + str(address)


@pytest.mark.parametrize(
    "url", ["postgresql://h:x/db", "postgresql://h:99999/db", "postgresql://h/db?foo=1"]
)
def test_a_mistake_is_told_without_the_url(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        address_of(url)
    assert url not in str(caught.value)
    assert caught.value.hint
