"""The chat in a real pseudo-terminal, read from its screen."""

# ruff: noqa: RUF001 - the prompt is a typographic mark

from pathlib import Path

import pytest

from tests.cli.terminal import fake_chat

CTRL_C, CTRL_D, ALT_ENTER = "\x03", "\x04", "\x1b\r"


def test_an_answer_is_drawn_with_its_table_and_what_it_rests_on(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("orders by country")
        shown = terminal.wait_for("! a remark by code")
        assert "✓ sql: SELECT 1 · 12 ms — 2 rows" in shown
        assert " country  orders" in shown
        assert "|---|" not in shown
        assert "▸ warehouse · 2 rows · 12 ms · as of 2026-01-31 09:30 UTC" in shown
        terminal.press(CTRL_D)
        assert terminal.end() == 0
        assert "databot chat --session here" in terminal.text()


def test_the_evidence_command_shows_the_statement_and_rows(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("/evidence")
        terminal.wait_for("the last answer has no evidence")
        terminal.type("orders")
        terminal.wait_for("! a remark by code")
        terminal.type("/evidence")
        assert "GROUP BY country" in terminal.wait_for("Japan | 12")
        terminal.type("/quit")
        assert terminal.end() == 0


def test_control_c_stops_the_answer_and_the_next_one_works(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("slow")
        terminal.wait_for("sql: SELECT 1 1 s")
        terminal.press(CTRL_C)
        terminal.wait_for("✗ the turn was cancelled")
        terminal.type("orders")
        terminal.wait_for("! a remark by code")
        terminal.press(CTRL_D)
        assert terminal.end() == 0


@pytest.mark.parametrize(
    ("said", "verdict"), [("y", "approve"), ("YES", "approve"), ("", "deny"), ("yep", "deny")]
)
def test_a_call_that_needs_a_person_is_shown_and_asked_about(
    tmp_path: Path, said: str, verdict: str
) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("drop")
        shown = terminal.wait_for("Run it? [y/N]")
        assert "! drop needs a person's approval:" in shown
        assert '"why": "\\u202eold\\u001b[2J"' in shown
        terminal.type(said)
        assert "interrupted" not in terminal.wait_for(f"apr_1: {verdict}")
        terminal.type("orders")
        terminal.wait_for("That is all.")
        terminal.press(CTRL_D)
        assert terminal.end() == 0


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_a_question_can_be_left_undecided(tmp_path: Path, key: str) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("drop")
        terminal.wait_for("Run it? [y/N]")
        terminal.press(key)
        terminal.wait_for("databot approvals approve apr_1")
        terminal.type("orders")
        terminal.wait_for("That is all.")
        terminal.press(CTRL_D)
        assert terminal.end() == 0


def test_control_c_twice_at_the_prompt_leaves_with_130(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.press(CTRL_C)
        terminal.wait_for("press Ctrl-C again to leave")
        terminal.press(CTRL_C)
        assert terminal.end() == 130


def test_a_second_control_c_leaves_a_turn_that_does_not_stop(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("stubborn")
        terminal.wait_for("sql is thinking")
        terminal.press(CTRL_C)
        terminal.wait_for("stopping")
        terminal.press(CTRL_C)
        assert terminal.end() == 130


def test_a_failure_is_one_line_and_the_chat_goes_on(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("fail")
        terminal.wait_for("✗ the model did not answer")
        terminal.type("refuse")
        terminal.wait_for("✗ too much is waiting")
        terminal.type("/nonsense")
        terminal.wait_for("no command named '/nonsense'")
        terminal.press(CTRL_D)
        assert terminal.end() == 0


def test_an_answer_longer_than_the_screen_scrolls_and_repeats_nothing(tmp_path: Path) -> None:
    with fake_chat(tmp_path, rows=20) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("long")
        shown = terminal.wait_for("! a remark by code")
        positions = [shown.index(f"paragraph {n} ") for n in range(1, 41)]
        assert positions == sorted(positions)
        assert [shown.count(f"paragraph {n} ") for n in range(1, 41)] == [1] * 40


@pytest.mark.parametrize("columns", [30, 200])
def test_narrow_and_wide_terminals_both_work(tmp_path: Path, columns: int) -> None:
    with fake_chat(tmp_path, columns=columns) as terminal:
        terminal.wait_for("›")
        terminal.type("orders")
        assert "Japan" in terminal.wait_for("! a remark by code")


def test_control_sequences_of_an_answer_do_not_reach_the_terminal(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("hostile")
        terminal.wait_for("red text")
        assert "\x1b[31mtext" not in terminal.raw
        assert "\x1b]0;title" not in terminal.raw


def test_alt_enter_begins_a_line_and_enter_sends_both(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.press("first")
        terminal.press(ALT_ENTER)
        terminal.type("second")
        terminal.wait_for("! a remark by code")
        history = (tmp_path / "data" / "history").read_text()
        assert "+first\n+second\n" in history


def test_a_paste_of_several_lines_is_one_message(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.press("\x1b[200~one\rtwo\x1b[201~")
        terminal.wait_for("two")
        terminal.type("")
        terminal.wait_for("! a remark by code")
        assert terminal.text().count("That is all.") == 1


def test_the_history_is_readable_by_its_owner_only_and_comes_back(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("/model")
        terminal.wait_for("scripted: for tests")
        terminal.press(CTRL_D)
        terminal.end()
    history = tmp_path / "data" / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert history.parent.stat().st_mode & 0o777 == 0o700
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.press("\x1b[A")
        terminal.wait_for("› /model")


def test_commands_and_agents_are_completed(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.press("/ev")
        terminal.wait_for("show what the last answer rests on")
        terminal.press("\t")
        terminal.wait_for("› /evidence")
        terminal.press("\x15@s")
        terminal.wait_for("ask this agent")
        terminal.press("\t")
        terminal.wait_for("› @sql")


def test_without_colour_nothing_is_coloured(tmp_path: Path) -> None:
    with fake_chat(tmp_path, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("orders")
        terminal.wait_for("! a remark by code")
        for color in (31, 32, 33, 34, 35, 36):
            assert f"\x1b[{color}m" not in terminal.raw
            assert f";{color}m" not in terminal.raw


def test_tables_sessions_and_a_new_conversation(tmp_path: Path) -> None:
    with fake_chat(tmp_path) as terminal:
        terminal.wait_for("model scripted")
        terminal.type("/tables")
        terminal.wait_for("orders")
        terminal.type("/sql SELECT country, orders FROM x")
        terminal.wait_for("more rows exist")
        terminal.type("/sessions")
        terminal.wait_for("about tuesday")
        terminal.type("/sessions 2")
        terminal.wait_for("going on in tuesday")
        terminal.type("/new fresh")
        terminal.wait_for("a new conversation: fresh")
