"""People at a terminal who are faster than the program, or are asked before something is lost."""

import sys
from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.terminal import Terminal
from tests.flows.daemon import write_config

CLEAR = "\x15"
ROOT = str(Path(__file__).parents[2])
OPENS_WHEN_TOLD = """
import asyncio, sys
from contextlib import asynccontextmanager
from pathlib import Path
from tests.cli import fake_bot

@asynccontextmanager
async def opened():
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    yield fake_bot.FakeBot()

fake_bot.opening = lambda: opened
sys.exit(fake_bot.main([]))
"""


def slow_chat(folder: Path) -> Terminal:
    """A chat whose bot is open once there is a file `go`."""
    return Terminal([sys.executable, "-c", OPENS_WHEN_TOLD], folder, env={"PYTHONPATH": ROOT})


def test_a_question_typed_before_the_bot_is_open_is_answered_when_it_is(tmp_path: Path) -> None:
    with slow_chat(tmp_path) as terminal:
        terminal.wait_for("starting …")
        terminal.type("orders by country")
        (tmp_path / "go").touch()
        shown = terminal.wait_for("! a remark by code")
        assert shown.count("model scripted") == 1
        terminal.type("/quit")
        assert terminal.end() == 0


def test_what_is_typed_ahead_is_shown_at_its_own_prompt_only(tmp_path: Path) -> None:
    with slow_chat(tmp_path) as terminal:
        terminal.wait_for("starting …")
        terminal.type("orders by country")
        terminal.wait_for("starting …")
        terminal.type("orders by year")
        (tmp_path / "go").touch()
        shown = terminal.wait_for("! a remark by code", times=2)
        assert shown.count("orders by year") == 1
        assert shown.index("! a remark by code") < shown.index("orders by year")
        terminal.type("/quit")
        assert terminal.end() == 0


def test_leaving_before_the_bot_is_open_waits_for_nothing(tmp_path: Path) -> None:
    with slow_chat(tmp_path) as terminal:
        terminal.wait_for("starting …")
        terminal.press("\x04")
        (tmp_path / "go").touch()
        assert terminal.end() == 0


def test_a_completion_chosen_from_the_menu_is_taken_by_enter_and_not_sent(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with slow_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.press("/qui")
        terminal.wait_for("leave")
        terminal.press("\t")
        terminal.wait_for("/quit", times=2)
        terminal.press("\r")  # takes the word; sent, it would be the end
        terminal.press(CLEAR)
        terminal.type("orders by country")
        terminal.wait_for("! a remark by code")
        terminal.type("/quit")
        assert terminal.end() == 0


def test_a_conversation_is_deleted_only_after_a_yes(
    databot: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    write_config(tmp_path, llm={"model": "offline"})
    assert databot("chat", "--session", "mine", "-m", "how many orders?").returncode == 0
    command = [sys.executable, "-m", "databot", "sessions", "delete", "mine"]
    for answer, status, left in (("n", 130, "mine"), ("y", 0, "")):
        with Terminal(command, tmp_path, env=environment) as terminal:
            terminal.wait_for("Delete mine for good?")
            terminal.type(answer)
            assert terminal.end() == status
        assert left in databot("sessions", "list").stdout
    assert "mine" not in databot("sessions", "list").stdout
