"""The fleets that proofs are run with, and what they counted, printed after the tests.

A promise is as good as the number behind it.
"""

import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.proof.fleet import Fleet, fleet_on
from tests.storage.places import DATABASES

PROVEN = "proven"
FULL = os.environ.get("DATABOT_PROOF") == "full"
ENOUGH_S = 24 * 3600 if FULL else 600
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
MEMORY = Path("/dev/shm")
"""A process that is killed leaves its files as it wrote them; only a power cut asks for a real disk."""


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def fleet(database: str, request: pytest.FixtureRequest) -> Generator[Fleet]:
    server = None if database == "sqlite" else request.getfixturevalue("postgres_url")
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="databot-proof-", dir=place) as folder,
        fleet_on(database, server, Path(folder)) as opened,
    ):
        yield opened


@pytest.fixture
def proven(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes a line of counts to be printed in the end, wherever the test ran."""

    def prove(line: str) -> None:
        record_property(PROVEN, line)

    return prove


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)
    ]
    lines = [
        str(line) for report in reports for name, line in report.user_properties if name == PROVEN
    ]
    if lines:
        terminalreporter.section("proven")
        for line in lines:
            terminalreporter.line(line)
