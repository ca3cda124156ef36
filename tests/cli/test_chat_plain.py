"""The chat without a terminal: streams, statuses, JSON, lines of stdin."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.fake_bot import REPLY

FAKE = "tests.cli.fake_bot"
ESCAPE = "\x1b"


@pytest.fixture
def chat(databot: Run) -> Run:
    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return databot(*arguments, stdin=stdin, module=FAKE)

    return run


def test_the_answer_alone_is_on_stdout(chat: Run) -> None:
    done = chat("-m", "orders by country")
    assert done.returncode == 0
    assert done.stdout == REPLY + "\n"


def test_model_tools_evidence_and_remarks_are_on_stderr(chat: Run) -> None:
    lines = chat("-m", "orders by country").stderr.splitlines()
    assert lines == [
        "databot: model scripted (for tests); you cannot",
        "… sql answers (rule: orders)",
        "… sql: SELECT 1",
        "▸ warehouse · 2 rows · 12 ms · as of 2026-01-31 09:30 UTC",
        "▸ file chart.svg · 4 bytes · art_1",
        "! a remark by code",
    ]


def test_nothing_piped_carries_an_escape_code(chat: Run) -> None:
    done = chat(stdin="hostile\n/tables\n/help\n/evidence\n")
    assert ESCAPE not in done.stdout + done.stderr
    assert "red text" in done.stdout


CARD = [
    "! drop needs a person's approval:",
    "    {",
    '      "table": "orders",',
    '      "why": "\\u202eold\\u001b[2J"',
    "    }",
    "  asked 2026-01-31 09:30, waits until 2026-02-07 09:30 UTC",
    "databot: the answer waits until this is decided:",
    "  databot approvals approve apr_1   (or deny)",
]


def test_a_call_that_needs_a_person_is_shown_whole_and_the_status_is_1(chat: Run) -> None:
    done = chat("-m", "drop", "--session", "here")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[2:-1] == CARD
    assert lines[-1].endswith("databot chat --session here")


def test_as_json_a_call_that_needs_a_person_is_the_last_event(chat: Run) -> None:
    done = chat("-m", "drop", "--json")
    assert done.returncode == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["approval_id"]) == ("approval_requested", "apr_1")
    assert CARD[0] in done.stderr


def test_the_line_after_one_that_waits_is_answered(chat: Run) -> None:
    done = chat(stdin="drop\norders\n")
    assert (done.returncode, done.stdout) == (1, REPLY + "\n")


@pytest.mark.parametrize(
    ("question", "said"),
    [("fail", "the model did not answer"), ("refuse", "too much is waiting (try again in 2 s)")],
)
def test_a_failed_turn_is_status_1_and_says_why_on_stderr(
    chat: Run, question: str, said: str
) -> None:
    done = chat("-m", question)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == f"databot: {said}"


def test_json_is_one_event_a_line_and_ends_with_one_terminal_event(chat: Run) -> None:
    events = [json.loads(line) for line in chat("--json", "-m", "hello").stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names[:3] == ["turn_started", "agent_selected", "tool_started"]
    assert names[-2:] == ["message", "turn_finished"]
    assert sum(name in {"turn_finished", "turn_failed"} for name in names) == 1
    assert "".join(e["text"] for e in events if e["event"] == "text_delta") == REPLY
    last = events[-1]
    assert last["reply"] == REPLY
    assert last["session_id"] == "here"
    assert last["evidence"][0]["connector"] == "warehouse"
    assert last["usage"] == {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0}


def test_json_of_a_failed_turn_ends_with_its_error_and_status_1(chat: Run) -> None:
    done = chat("--json", "-m", "fail")
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert last["event"] == "turn_failed"
    assert last["error"] == {"type": "model_timeout", "message": "the model did not answer"}


def test_a_dash_reads_the_whole_of_stdin_as_one_message(chat: Run) -> None:
    done = chat("--json", "-m", "-", stdin="two\nlines\n")
    assert done.stdout.count('"turn_finished"') == 1


def test_each_line_of_stdin_is_a_message_and_empty_ones_are_not(chat: Run) -> None:
    done = chat(stdin="one\n\n  \ntwo")
    assert done.returncode == 0
    assert done.stdout.count("That is all.") == 2


def test_a_failed_line_is_told_and_the_next_line_works(chat: Run) -> None:
    done = chat(stdin="refuse\n/nothing\none\n")
    assert done.returncode == 1
    assert "too much is waiting" in done.stderr
    assert "/help lists them" in done.stderr
    assert done.stdout.count("That is all.") == 1


def test_quit_ends_the_lines(chat: Run) -> None:
    assert chat(stdin="/quit\none\n").stdout == ""


def test_broken_bytes_on_stdin_are_replaced_and_answered(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", FAKE],
        cwd=tmp_path,
        env=environment,
        input=b"caf\xe9 \xff\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert b"That is all." in done.stdout


def test_an_interrupt_stops_the_turn_and_is_status_130(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", FAKE, "-m", "slow"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        while "sql: SELECT 1" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines() == ["stopping …", "databot: the turn was cancelled"]


def test_no_stdin_at_all_ends_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", FAKE],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"")
