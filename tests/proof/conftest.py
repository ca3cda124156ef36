"""What the proofs counted, printed after the tests: a promise is as good as the number behind it."""

from collections.abc import Callable

import pytest

PROVEN = "proven"


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
