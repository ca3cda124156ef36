"""The command as people run it: a real process, a real database, the offline analyst."""

import json
import sys
from pathlib import Path

import pytest

from databot.app.demo import prepare_demo
from databot.cli.commands import build_components
from databot.config.settings import Settings
from databot.types.clock import SystemClock
from tests.cli.conftest import Run, clean_environment
from tests.cli.terminal import Terminal

QUESTION = "top 5 products by revenue"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The folder the command runs in, with the demo's database and the offline analyst."""
    prepare_demo(tmp_path, SystemClock().now().date(), lambda _: None)
    config = (tmp_path / "config.yaml").read_text().replace("model: auto", "model: offline")
    (tmp_path / "config.yaml").write_text(config)
    return tmp_path


def test_the_demo_answers_one_question_without_a_terminal(databot: Run) -> None:
    done = databot("demo", "here")
    assert done.returncode == 0, done.stderr
    assert "Espresso Machine Duo" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "preparing the database" in done.stderr
    assert "model offline" in done.stderr
    assert "▸ company · 5 rows" in done.stderr


def test_a_question_is_answered_on_stdout_with_its_evidence_on_stderr(
    databot: Run, workspace: Path
) -> None:
    done = databot("chat", "-m", QUESTION)
    assert done.returncode == 0, done.stderr
    assert "| Espresso Machine Duo |" in done.stdout
    assert "▸ company · 5 rows" in done.stderr
    assert (workspace / ".databot").stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("workspace")
def test_the_json_of_a_real_turn_has_evidence_and_one_end(databot: Run) -> None:
    done = databot("chat", "--json", "--session", "mine", "-m", QUESTION)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "turn_started"
    assert names[-1] == "turn_finished"
    assert "tool_finished" in names
    assert events[-1]["session_id"] == "mine"
    assert events[-1]["evidence"][0]["rows"] == 5
    assert "SELECT" in events[-1]["evidence"][0]["statement"]


@pytest.mark.usefixtures("workspace")
def test_a_session_is_listed_shown_exported_and_deleted(databot: Run, tmp_path: Path) -> None:
    databot("chat", "--session", "mine", "-m", "how many orders are there")
    listed = json.loads(databot("sessions", "list", "--json").stdout)
    assert [item["session"] for item in listed] == ["mine"]
    assert "how many orders are there" in databot("sessions", "show", "mine").stdout
    assert databot("sessions", "export", "mine", "-o", "kept.json").returncode == 0
    exported = json.loads((tmp_path / "kept.json").read_text())
    roles = [message["role"] for message in exported["messages"]]
    assert roles[0] == "user"
    assert "tool" in roles
    assert roles[-1] == "assistant"
    asked = databot("sessions", "delete", "mine")
    assert asked.returncode == 2  # nobody there to say yes
    assert "--yes" in asked.stderr
    assert databot("sessions", "delete", "mine", "--yes").returncode == 0
    gone = databot("sessions", "show", "mine")
    assert gone.returncode == 1
    assert "no session named 'mine'" in gone.stderr


@pytest.mark.usefixtures("workspace")
def test_the_conversation_goes_on_in_its_session(databot: Run) -> None:
    databot("chat", "--session", "mine", "-m", "how many orders are there")
    done = databot("chat", "--session", "mine", "-m", "and by country?")
    assert done.returncode == 0
    assert "Germany" in done.stdout


@pytest.mark.usefixtures("workspace")
def test_tools_are_listed_and_run_by_hand(databot: Run) -> None:
    assert "sql\tread" in databot("tools", "list").stdout
    args = '{"sql": "SELECT count(*) AS n FROM products"}'
    done = databot("tools", "run", "sql", "--args", args)
    assert json.loads(done.stdout.splitlines()[0])["rows"] == [[28]]
    refused = databot("tools", "run", "sql", "--args", '{"sql": "DROP TABLE products"}')
    assert refused.returncode == 1
    assert "DROP is refused" in refused.stderr
    unknown = databot("tools", "run", "sqll")
    assert unknown.returncode == 1
    assert "there is no tool 'sqll'" in unknown.stderr


def test_connectors_are_tested_and_a_dead_one_is_status_1(databot: Run, workspace: Path) -> None:
    assert databot("connectors", "test").returncode == 0
    with (workspace / "config.yaml").open("a") as file:
        file.write("  # more\n")
    config = (workspace / "config.yaml").read_text()
    dead = "connectors:\n  gone: {type: sql, url: 'sqlite:///gone.db'}\n"
    (workspace / "config.yaml").write_text(config.replace("connectors:\n", dead))
    done = databot("connectors", "test", "--json")
    states = {item["name"]: item["state"] for item in json.loads(done.stdout)}
    assert states == {"gone": "down", "company": "ok"}
    assert done.returncode == 1
    assert databot("connectors", "test", "company").returncode == 0
    assert not (workspace / "gone.db").exists()
    missing = databot("connectors", "test", "nowhere")
    assert missing.returncode == 1
    assert "there are: gone, company" in missing.stderr


@pytest.mark.usefixtures("workspace")
def test_the_doctor_finds_a_demo_healthy(databot: Run) -> None:
    done = databot("doctor")
    assert done.returncode == 0, done.stdout
    assert "connector company" in done.stdout
    assert "everything that is needed works" in done.stderr


def test_the_doctor_says_what_is_broken_and_its_status_is_1(databot: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("llm: {modle: x}")
    done = databot("doctor", "--json")
    broken = [item for item in json.loads(done.stdout) if item["state"] == "broken"]
    assert done.returncode == 1
    assert [item["area"] for item in broken] == ["config"]
    assert "llm.model" in broken[0]["detail"]


def test_a_store_that_is_no_database_is_one_line(databot: Run, workspace: Path) -> None:
    (workspace / ".databot").mkdir()
    (workspace / ".databot" / "databot.db").write_bytes(b"not a database" * 1000)
    done = databot("chat", "-m", QUESTION)
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "databot.db" in line


@pytest.mark.usefixtures("workspace")
def test_words_of_the_documents_are_found(databot: Run) -> None:
    done = databot("rag", "ingest", "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert report["tenant"] == "default"
    assert report["added"] >= 10
    found = databot("rag", "search", "when is money refunded", "--json")
    assert "refund-policy" in json.loads(found.stdout)[0]["source"]
    assert "word index\tok" in databot("rag", "status").stdout


@pytest.mark.usefixtures("workspace")
def test_lists_are_json_where_asked(databot: Run) -> None:
    for command in (["plugins", "list"], ["channels", "list"], ["tools", "list"]):
        assert isinstance(json.loads(databot(*command, "--json").stdout), list), command


def test_the_demo_opens_a_chat_on_a_terminal(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "databot", "demo"]
    with Terminal(command, tmp_path, env={**environment, "TERM": "xterm-256color"}) as terminal:
        terminal.wait_for("model offline")
        terminal.type(QUESTION)
        shown = terminal.wait_for("▸ company · 5 rows")
        assert "Espresso Machine Duo" in shown
        terminal.type("/tables")
        terminal.wait_for("support_tickets")
        terminal.type("/sql SELECT count(*) AS n FROM order_items")
        terminal.wait_for("▸ company · 1 row")
        terminal.press("\x04")
        assert terminal.end() == 0


def test_init_asks_on_a_terminal_for_what_was_not_given(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "databot", "init", "--model", "offline"]
    with Terminal(command, tmp_path, env=environment) as terminal:
        terminal.wait_for("Database URL")
        terminal.type("sqlite:///mine.db")
        terminal.wait_for("next: databot doctor")
        assert terminal.end() == 0
    settings = Settings.load(tmp_path / "config.yaml", {})
    assert settings.connectors["warehouse"]["url"] == "sqlite:///mine.db"
    assert settings.llm.model == "offline"


@pytest.mark.usefixtures("workspace")
def test_an_unknown_bot_is_told_before_anything_is_asked(databot: Run) -> None:
    done = databot("chat", "--bot", "nobody", "-m", QUESTION)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no bot named 'nobody'" in done.stderr.splitlines()[-1]


def test_two_chats_share_one_store(databot: Run, workspace: Path) -> None:
    command = [sys.executable, "-m", "databot", "chat"]
    environment = clean_environment(workspace)
    with Terminal(command, workspace, env=environment) as terminal:
        terminal.wait_for("model offline")
        assert databot("chat", "--session", "other", "-m", QUESTION).returncode == 0
        terminal.type("/sessions")
        terminal.wait_for("other")


async def test_the_parts_of_a_databot_have_their_old_names(tmp_path: Path) -> None:
    settings = Settings.parse({"data_dir": str(tmp_path), "llm": {"model": "offline"}})
    async with build_components(settings, background=False) as parts:
        assert parts._fields == (
            "bus",
            "provider",
            "tools",
            "sessions",
            "memory",
            "workspace",
            "connector_registry",
            "rag_context",
            "tracer",
            "delegator",
        )
        assert parts.tracer is None
        assert await parts.sessions.list("default") == []


async def test_the_parts_can_be_awaited_and_closed(tmp_path: Path) -> None:
    settings = Settings.parse({"data_dir": str(tmp_path), "llm": {"model": "offline"}})
    building = build_components(settings, background=False)
    parts = await building
    assert parts.connector_registry.names() == ()
    await building.aclose()
