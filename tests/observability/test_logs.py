"""Logs: one line an event, never a secret."""

import json
import logging
import sys
from collections.abc import Generator

import pytest

from databot.observability.logs import configure_logs, current_turn


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Generator[None]:  # pyright: ignore[reportUnusedFunction] - used by pytest
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def fail_with(text: str) -> None:
    raise ValueError(text)


def test_a_secret_shows_neither_in_text_nor_in_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "text", ["hunter2-hunter2"])
    log = logging.getLogger("databot.test")
    log.info("the key is %s", "hunter2-hunter2")
    try:
        fail_with("dsn postgres://u:hunter2-hunter2@h")
    except ValueError:
        log.exception("it failed")
    sys.stderr.flush()
    told = capsys.readouterr().err
    assert "hunter2" not in told
    assert told.count("[secret]") >= 2
    assert "Traceback" in told


def test_a_json_line_has_its_turn(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    token = current_turn.set("turn_1")
    logging.getLogger("databot.test").warning("careful: %d", 3)
    logging.getLogger("databot.test").debug("not shown")
    current_turn.reset(token)
    [line] = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["message"] == "careful: 3"
    assert entry["level"] == "warning"
    assert entry["turn_id"] == "turn_1"


def test_a_json_line_outside_a_turn_has_no_turn_and_its_failure_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "json", ["hunter2-hunter2"])
    try:
        fail_with("dsn postgres://u:hunter2-hunter2@h")
    except ValueError:
        logging.getLogger("databot.test").exception("it failed")
    told = capsys.readouterr().err
    [line] = told.splitlines()
    entry = json.loads(line)
    assert "turn_id" not in entry
    assert entry["exception"].startswith("Traceback")
    assert "ValueError: dsn postgres://u:[secret]@h" in entry["exception"]


def test_a_text_line_names_its_turn_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "text")
    token = current_turn.set("turn_1")
    logging.getLogger("databot.test").warning("turn %s failed", "turn_1")
    logging.getLogger("databot.test").warning("careful")
    current_turn.reset(token)
    logging.getLogger("databot.test").warning("outside")
    told = [line.partition("databot.test")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == [" turn turn_1 failed", " turn_1 careful", " outside"]


def test_the_fields_of_a_json_line_are_keys_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "json", ["hunter2-hunter2"])
    fields = {"session_id": "a-hunter2-hunter2", "tools": 2}
    logging.getLogger("databot.test").info("said", extra={"fields": fields})
    entry = json.loads(capsys.readouterr().err)
    assert (entry["session_id"], entry["tools"]) == ("a-[secret]", 2)


def test_libraries_that_name_conversations_and_addresses_are_not_heard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("debug", "text")
    for name in ("procrastinate.worker", "psycopg.pool", "psycopg"):
        logging.getLogger(name).warning("job of session-of-ada at 10.0.0.7")
    logging.getLogger("redis.client").info("session-of-ada")
    logging.getLogger("databot.core").info("heard")
    told = capsys.readouterr().err
    assert "heard" in told
    assert "ada" not in told
