"""The two streams of the command: a reader that goes away, an interrupt, a terminal beside a pipe."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from databot.app.demo import prepare_demo
from databot.cli import commands
from databot.cli.main import main
from databot.cli.status import INTERRUPTED, PIPE_CLOSED
from databot.types.clock import SystemClock
from tests.cli.fake_bot import REPLY
from tests.cli.terminal import Terminal

FAKE = [sys.executable, "-m", "tests.cli.fake_bot"]
ROOT = str(Path(__file__).parents[2])


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize(
    "arguments", [["config", "schema"], ["chat", "-m", "top 5 products by revenue"], ["--version"]]
)
def test_output_nobody_reads_is_its_own_status_and_says_nothing(
    tmp_path: Path, environment: dict[str, str], arguments: list[str], unbuffered: str
) -> None:
    prepare_demo(tmp_path, SystemClock().now().date(), lambda _: None)
    variables = {"PYTHONUNBUFFERED": unbuffered, "DATABOT_RAG__ENABLED": "false"}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "databot", *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            stdout=writer,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.returncode == PIPE_CLOSED
    assert "Traceback" not in done.stderr
    assert "went wrong" not in done.stderr


def test_an_interrupt_outside_a_turn_is_status_130_without_a_stack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run_command", interrupted)
    assert main(["plugins", "list"]) == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_on_a_terminal_one_question_is_answered_drawn(tmp_path: Path) -> None:
    with Terminal([*FAKE, "-m", "orders"], tmp_path, env={"PYTHONPATH": ROOT}) as terminal:
        assert terminal.end() == 0
        text = terminal.text()
    assert "**" not in text
    assert "Japan" in text
    assert "▸ warehouse · 2 rows" in text


def test_a_spinner_turns_while_one_question_is_answered_and_control_c_stops_it(
    tmp_path: Path,
) -> None:
    with Terminal([*FAKE, "-m", "slow"], tmp_path, env={"PYTHONPATH": ROOT}) as terminal:
        terminal.wait_for("sql: SELECT 1")
        terminal.wait_for("working")
        terminal.press("\x03")
        assert terminal.end() == INTERRUPTED
        assert "the turn was cancelled" in terminal.text()


def test_on_a_dumb_terminal_nothing_turns_and_nothing_is_drawn(tmp_path: Path) -> None:
    command = [*FAKE, "-m", "orders"]
    with Terminal(command, tmp_path, env={"PYTHONPATH": ROOT, "TERM": "dumb"}) as terminal:
        assert terminal.end() == 0
        assert "\x1b" not in terminal.raw
        assert "| Japan | 12 |" in terminal.text()
    assert "| Japan | 12 |" in REPLY


def test_an_interrupt_ends_the_lines_of_a_pipe_with_130(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        FAKE,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("slow\norders\n")
        process.stdin.flush()
        while "sql: SELECT 1" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert out == ""


def test_an_empty_line_at_the_prompt_asks_nothing(tmp_path: Path) -> None:
    with Terminal(FAKE, tmp_path, env={"PYTHONPATH": ROOT}) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("")
        terminal.type("   ")
        terminal.type("/quit")
        assert terminal.end() == 0
        assert "Japan" not in terminal.text()


def test_without_a_folder_to_write_in_the_chat_works_and_keeps_no_history(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with Terminal(FAKE, tmp_path, env={"PYTHONPATH": ROOT}) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("orders")
        terminal.wait_for("That is all.")
        terminal.type("/quit")
        assert terminal.end() == 0
