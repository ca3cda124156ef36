import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.storage.postgres.address import Address, address_of
from databot.types.errors import ConfigError


def test_a_url_with_everything() -> None:
    address = address_of(
        "postgresql+asyncpg://ada:p%40ss@db.example:6543/bot?sslmode=require&search_path=x"
    )
    assert address == Address(
        host="db.example",
        port=6543,
        database="bot",
        user="ada",
        password="p@ss",
        ssl="require",
        search_path="x",
    )


def test_a_url_with_next_to_nothing() -> None:
    address = address_of("postgresql://")
    assert (address.host, address.port, address.database) == ("localhost", 5432, "postgres")
    assert address_of("postgresql://ada@[::1]:5433").host == "::1"
    assert address_of("postgresql://ada@/bot?host=/run/postgresql").host == "/run/postgresql"


@pytest.mark.parametrize("password", ["p@ss/w:rd", "a?b#c", "[]{}", "ü ß", "100% sure", "::@@//"])
def test_a_password_may_be_written_as_it_is(password: str) -> None:
    address = address_of(f"postgresql+asyncpg://ada:{password}@h:1/db")
    assert (address.user, address.password, address.host) == ("ada", password, "h")
    assert (address.port, address.database) == (1, "db")


@given(st.text(min_size=1))
def test_a_password_may_be_percent_encoded(password: str) -> None:
    from urllib.parse import quote

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
