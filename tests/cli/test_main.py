"""The command's edges: exit statuses, one-line errors, what is imported, what goes to which stream."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from databot.cli.failure import report, root_cause
from databot.cli.main import take_debug
from databot.types.errors import ConfigError, NotFound
from tests.cli.conftest import Run

HEAVY = frozenset(
    [
        "litellm",
        "chromadb",
        "sqlalchemy",
        "aiohttp",
        "pyarrow",
        "onnxruntime",
        "numpy",
        "duckdb",
        "asyncpg",
        "sqlglot",
    ]
)


def imported_by(source: str, cwd: Path, environment: dict[str, str]) -> frozenset[str]:
    """The top-level modules a fresh interpreter has after running `source`."""
    probe = f"{source}\nimport sys; sys.stderr.write('MODULES ' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    names = done.stderr.rpartition("MODULES ")[2].split()
    return frozenset(name.partition(".")[0] for name in names)


def test_the_version_is_told_without_importing_typer(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = "from databot.cli.main import main; assert main(['--version']) == 0"
    names = imported_by(source, tmp_path, environment)
    assert names & (HEAVY | {"typer", "rich", "pydantic", "yaml", "asyncio"}) == frozenset()


def test_help_imports_nothing_heavy(tmp_path: Path, environment: dict[str, str]) -> None:
    source = "from databot.cli.main import main; assert main(['--help']) == 0"
    names = imported_by(source, tmp_path, environment)
    assert names & (HEAVY | {"pydantic", "yaml", "prompt_toolkit", "asyncio"}) == frozenset()


def test_the_chat_imports_nothing_heavy_before_its_prompt(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = """
import databot.cli.commands
import databot.cli.chat.interactive as interactive, databot.cli.chat.command as command
from pathlib import Path
from databot.cli.bot import load_settings, opener
from databot.cli.chat.modes import ChatOptions
from databot.cli.output import Output
options = ChatOptions(
    open_bot=opener(load_settings(None)), session_id="s", bot_id="default", output=Output.detect()
)
interactive.Chat(options, interactive.Background(options.open_bot), Path("history"))
"""
    assert imported_by(source, tmp_path, environment) & HEAVY == frozenset()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chta"], "No such command 'chta'"),
        (["chat", "--bogus"], "No such option: --bogus"),
        (["sessions", "show"], "Missing argument"),
        (["tools", "run", "sql", "--args"], "requires an argument"),
        (["gateway", "--port", "99999"], "--port"),
        (["chat", "-m", "  "], "the message is empty"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(databot: Run, arguments: list[str], said: str) -> None:
    done = databot(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("databot: ")
    assert said in line


@pytest.mark.parametrize("arguments", [[], ["sessions"]])
def test_without_a_command_the_help_is_shown_and_the_status_is_2(
    databot: Run, arguments: list[str]
) -> None:
    done = databot(*arguments)
    assert done.returncode == 2
    assert "Usage: databot" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("llm: {modle: auto}", "llm.model"),
        ("llm: {model: [}", "not valid YAML"),
        ("llm: {api_key: '${NO_SUCH_VARIABLE}'}", "NO_SUCH_VARIABLE"),
        ("agent: {max_iterations: zero}", "agent.max_iterations"),
        ("- a\n- list", "must be a mapping"),
    ],
)
@pytest.mark.parametrize("command", [["config", "check"], ["chat", "-m", "hello"], ["gateway"]])
def test_a_bad_configuration_is_one_line_and_status_2(
    databot: Run, tmp_path: Path, command: list[str], text: str, said: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    done = databot(*command)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("databot: ")
    assert said in line


def test_a_missing_configuration_file_is_status_2_and_says_what_to_do(databot: Run) -> None:
    done = databot("config", "check", "--config", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml does not exist" in done.stderr
    assert "databot init" in done.stderr


def test_without_debug_there_is_no_stack_and_with_it_there_is(databot: Run) -> None:
    plain = databot("-m", "broken", module="tests.cli.fake_bot")
    assert plain.returncode == 1
    assert "Traceback" not in plain.stderr
    assert "--debug" in plain.stderr
    assert "Traceback" in databot("-m", "broken", "--debug", module="tests.cli.fake_bot").stderr


def test_debug_may_stand_anywhere_but_after_two_dashes() -> None:
    assert take_debug(["chat", "--debug", "-m", "x"]) == (["chat", "-m", "x"], True)
    assert take_debug(["chat", "--", "--debug"]) == (["chat", "--", "--debug"], False)


def test_the_first_thing_raised_on_purpose_is_found_inside_groups() -> None:
    meant = NotFound("bot", "x")
    group = ExceptionGroup("", [ValueError("noise"), ExceptionGroup("", [meant])])
    assert root_cause(group) is meant


def test_a_control_character_in_an_error_never_reaches_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report(ConfigError("bad \x1b[31mvalue\nnext"), debug=False) == 2
    assert capsys.readouterr().err == "databot: bad value next\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m databot config schema | head -n 1; true"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_a_terminal_without_unicode_gets_question_marks_and_no_error(databot: Run) -> None:
    done = databot("-m", "hello", module="tests.cli.fake_bot", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "countries" in done.stdout


def test_the_module_and_the_installed_command_are_the_same_program(databot: Run) -> None:
    assert databot("--version").stdout.startswith("databot ")
    assert os.linesep in databot("--help").stdout
