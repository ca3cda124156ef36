"""Fixtures every test may use: the real servers, by URL."""

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that talk to the servers share them, and some end other sessions: one worker runs them all."""
    for item in items:
        if item.get_closest_marker("service"):
            item.add_marker(pytest.mark.xdist_group("service"))


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
