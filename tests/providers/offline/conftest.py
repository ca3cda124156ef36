"""The worlds as fixtures; their connections are closed when the test ends."""

from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb
import pytest

from tests.providers.offline.servers import hospital_on_mysql, hospital_on_postgres
from tests.providers.offline.worlds import (
    HOSPITAL_SCHEMA,
    World,
    hospital_rows,
    hospital_source,
    shop,
    telemetry,
)


@pytest.fixture
def shop_world() -> Iterator[World]:
    world, connection = shop(datetime.now(UTC).date())
    yield world
    connection.close()


@pytest.fixture
def telemetry_world() -> Iterator[World]:
    world, connection = telemetry()
    yield world
    connection.close()


@pytest.fixture(scope="module")
def duckdb_clinic() -> Iterator[World]:
    with duckdb.connect(":memory:") as connection:
        rows = hospital_rows()
        for statement in HOSPITAL_SCHEMA:
            connection.execute(statement)
        for name, content in rows.items():
            marks = ", ".join("?" for _ in content[0])
            values = [tuple(row.values()) for row in content]
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", values)

        def execute(sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
            cursor = connection.execute(sql)
            return [column[0] for column in cursor.description or ()], cursor.fetchall()

        yield hospital_source("duckdb", execute, rows)


@pytest.fixture(scope="module")
def postgres_clinic(postgres_url: str) -> Iterator[World]:
    with hospital_on_postgres(postgres_url) as world:
        yield world


@pytest.fixture(scope="module")
def mysql_clinic(mysql_url: str) -> Iterator[World]:
    with hospital_on_mysql(mysql_url) as world:
        yield world


@pytest.fixture(
    params=[
        "duckdb_clinic",
        pytest.param("postgres_clinic", marks=pytest.mark.service),
        pytest.param("mysql_clinic", marks=pytest.mark.service),
    ]
)
def clinic_world(request: pytest.FixtureRequest) -> World:
    """The same hospital on every engine."""
    world: World = request.getfixturevalue(request.param)
    return world
