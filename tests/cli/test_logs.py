"""The log of a command: in a private file, without secrets, and made only when there is something to say."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from databot.app.secrets import known_secrets
from databot.cli.chat.summary import failure_line
from databot.cli.logs import NAME, log_command, log_place
from databot.config.settings import Settings
from databot.types.events import TurnFailed

SECRET = "hunter2hunter2hunter2"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was again afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    for handler in logger.handlers:
        if handler not in handlers:
            handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.parse(
        {
            "data_dir": str(tmp_path / "data"),
            "llm": {"api_key": SECRET},
            "connectors": {"a": {"type": "sql", "url": "mysql://u:p@ss/word@h/d"}},
        }
    )


@pytest.mark.usefixtures("root")
def test_the_file_is_private_and_appears_with_its_first_line(settings: Settings) -> None:
    log_command(settings)
    path = settings.data_dir / NAME
    assert not path.exists()
    logging.getLogger("databot.x").warning("a key %s and p@ss/word", SECRET)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert SECRET not in text
    assert "p@ss" not in text
    assert log_place() == str(path)


@pytest.mark.usefixtures("root")
def test_a_log_that_cannot_be_written_fails_no_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log_command(Settings.parse({"data_dir": str(tmp_path / "file" / "data")}))
    logging.getLogger("databot.x").warning("lost")


def test_every_secret_of_a_configuration_is_known(settings: Settings) -> None:
    assert set(known_secrets(settings)) >= {SECRET, "p@ss/word"}


def test_only_a_failure_of_our_own_points_to_the_log() -> None:
    ours = TurnFailed(turn_id="t", session_id="s", error="internal_error", reason="see the log")
    theirs = TurnFailed(turn_id="t", session_id="s", error="model_timeout", reason="no answer")
    assert failure_line(ours, "/x/databot.log") == "see the log (/x/databot.log)"
    assert failure_line(theirs, "/x/databot.log") == "no answer"
