"""Fixtures every test may use: the real servers, by URL."""

import fcntl
import os
from collections.abc import Callable, Generator

import pytest

from tests.disk import small_disk  # noqa: F401 # pyright: ignore[reportUnusedImport] - a fixture

COUNTED = "counted"


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tells a line at the end of the run, also of a worker beside others: what a proof has counted."""
    return lambda line: record_property(COUNTED, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told: list[str] = [
        f"{report.nodeid}: {line}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, line in report.user_properties
        if name == COUNTED
    ]
    if told:
        terminalreporter.section("counted")
    for line in told:
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _servers_to_itself(  # pyright: ignore[reportUnusedFunction] - used by pytest
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[None]:
    """A test of the servers has them to itself: some end other sessions, and workers run side by side."""
    if not request.node.get_closest_marker("service"):
        yield
        return
    with (tmp_path_factory.getbasetemp().parent / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def server_url(variable: str, server: str) -> str:
    """The URL in `variable`; without it the test is skipped, and on CI it fails."""
    url = os.environ.get(variable)
    if url:
        return url
    message = f"no {server}: {variable} is not set (see .ci/servers.sh)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A PostgreSQL superuser's URL, `postgresql://…`, to make databases and schemas with; password as for MariaDB."""
    return server_url("DATABOT_TEST_POSTGRES_URL", "PostgreSQL")


@pytest.fixture(scope="session")
def mysql_url() -> str:
    """A MariaDB administrator's URL, `mysql://…`; its password holds `@`, `/` and `:`, percent-encoded."""
    return server_url("DATABOT_TEST_MYSQL_URL", "MariaDB")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A Redis, `redis://…`; its password is as odd as MariaDB's."""
    return server_url("DATABOT_TEST_REDIS_URL", "Redis")
