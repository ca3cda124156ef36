"""Database URLs taken apart."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.connectors.sql.address import parse_address
from databot.types.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "engine", "host", "port", "user", "password", "database"),
    [
        ("postgresql://ada:pw@db:5433/shop", "postgres", "db", 5433, "ada", "pw", "shop"),
        ("postgres://db/shop", "postgres", "db", None, None, None, "shop"),
        ("postgresql+asyncpg://ada@db/shop", "postgres", "db", None, "ada", None, "shop"),
        ("postgresql+psycopg2://ada:@db/shop", "postgres", "db", None, "ada", "", "shop"),
        ("POSTGRESQL://ada:pw@[::1]:5432/shop", "postgres", "::1", 5432, "ada", "pw", "shop"),
        ("mysql://a:p%40ss%2Fw%3Ard@h:1/d", "mysql", "h", 1, "a", "p@ss/w:rd", "d"),
        ("mariadb://a:p@ss@h/d", "mysql", "h", None, "a", "p@ss", "d"),
        ("mysql+asyncmy://a:p/s?s#s@h:1/d", "mysql", "h", 1, "a", "p/s?s#s", "d"),
        ("mysql://h", "mysql", "h", None, None, None, ""),
        ("sqlite:///shop.db", "sqlite", "", None, None, None, "shop.db"),
        ("sqlite:////srv/shop.db", "sqlite", "", None, None, None, "/srv/shop.db"),
        ("duckdb:///a b/shop#1.duckdb", "duckdb", "", None, None, None, "a b/shop#1.duckdb"),
    ],
)
def test_a_url_is_taken_apart(
    url: str, engine: str, host: str, port: int | None, user: str | None, password: str | None, database: str
) -> None:  # fmt: skip
    address = parse_address(url)
    assert (address.engine, address.host, address.port) == (engine, host, port)
    assert (address.user, address.password, address.database) == (user, password, database)


def test_options_are_kept_apart_from_the_database() -> None:
    address = parse_address("postgresql://h/d?sslmode=require&search_path=a%2Cb")
    assert address.database == "d"
    assert dict(address.options) == {"sslmode": "require", "search_path": "a,b"}


@pytest.mark.parametrize(
    "rest",
    [
        "mssql+pyodbc://a:p%40s@h/d?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes&TrustServerCertificate=no",
        "mysql+pymysql://a@h/d?ssl_ca=/ca.pem&ssl_check_hostname=false&charset=utf8mb4",
        "postgresql+psycopg://a@h1,h2/d?sslmode=verify-full&sslrootcert=/ca.pem&options=-c%20x%3Dy",
    ],
)
def test_the_escape_hatch_passes_its_url_on_untouched(rest: str) -> None:
    assert parse_address(f"sqlalchemy+{rest}").url == rest


@given(st.text(min_size=1, max_size=30))
def test_any_password_survives_percent_encoding_and_shows_nowhere(password: str) -> None:
    url = f"mysql://ada:{quote(password, safe='', errors='surrogatepass')}@host:3306/shop"
    address = parse_address(url)
    assert address.password == password.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert (address.host, address.port, address.database) == ("host", 3306, "shop")
    assert address.place == "host:3306/shop"


def test_a_password_is_scrubbed_in_every_spelling() -> None:
    address = parse_address("mysql://ada:p%40ss%2Fw@h/d")
    text = address.scrub("bad p@ss/w and p%40ss%2Fw and p%40ss/w")
    assert text == "bad *** and *** and ***"
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize(
    "url", ["", "shop.db", "://x", "sqlite:shop.db", "mysql://a:b@h:port/d", "9z://h"]
)
def test_a_url_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(url)
    assert not url or url not in caught.value.message
