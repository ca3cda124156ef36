"""Fixtures of the shop databases; imported by the tests that use them."""

from collections.abc import Iterator

import pytest

from tests.connectors.databases import (
    Shop,
    shop_in_duckdb,
    shop_in_mysql,
    shop_in_postgres,
    shop_in_sqlite,
)


@pytest.fixture(scope="session")
def sqlite_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop_in_sqlite(tmp_path_factory.mktemp("sqlite")) as shop:
        yield shop


@pytest.fixture(scope="session")
def duckdb_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop_in_duckdb(tmp_path_factory.mktemp("duckdb")) as shop:
        yield shop


@pytest.fixture(scope="session")
def postgres_shop(postgres_url: str) -> Iterator[Shop]:
    with shop_in_postgres(postgres_url) as shop:
        yield shop


@pytest.fixture(scope="session")
def mysql_shop(mysql_url: str) -> Iterator[Shop]:
    with shop_in_mysql(mysql_url) as shop:
        yield shop


@pytest.fixture(
    params=[
        "sqlite",
        "duckdb",
        pytest.param("postgres", marks=pytest.mark.service),
        pytest.param("mysql", marks=pytest.mark.service),
    ]
)
def any_shop(request: pytest.FixtureRequest) -> Shop:
    """The shop in each engine in turn."""
    return request.getfixturevalue(f"{request.param}_shop")
