"""What fits into a prompt: a tool call is never parted from its results."""

from hypothesis import given
from hypothesis import strategies as st

from databot.core.window import fit, latest, shorten_result, total_tokens
from databot.types.chat import ChatMessage, ToolCall

SYSTEM = ChatMessage(role="system", content="rules")


def exchange(n: int, size: int, tools: int) -> list[ChatMessage]:
    calls = tuple(ToolCall(id=f"{n}-{i}", name="t", arguments="{}") for i in range(tools))
    messages = [ChatMessage(role="user", content=f"q{n}")]
    if calls:
        messages.append(ChatMessage(role="assistant", content="", tool_calls=calls))
        messages += [
            ChatMessage(role="tool", content="r" * size, tool_call_id=call.id) for call in calls
        ]
    return [*messages, ChatMessage(role="assistant", content="a" * (size // 10))]


def unanswered(messages: list[ChatMessage]) -> set[str | None]:
    asked = {call.id for message in messages for call in message.tool_calls}
    answered = {message.tool_call_id for message in messages if message.role == "tool"}
    return asked ^ answered


@given(
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 3)), max_size=12),
    st.integers(200, 20_000),
)
def test_calls_and_results_stay_together_and_the_latest_exchanges_are_kept(
    shapes: list[tuple[int, int]], budget: int
) -> None:
    history = [m for n, (size, tools) in enumerate(shapes) for m in exchange(n, size, tools)]
    current = [ChatMessage(role="user", content="now")]
    messages = fit(SYSTEM, history, current, budget)
    assert messages[0] == SYSTEM
    assert messages[-1].content == "now"
    assert unanswered(messages) == set()
    questions = [m.content for m in messages if m.role == "user"][:-1]
    assert questions == [f"q{n}" for n in range(len(shapes) - len(questions), len(shapes))]
    assert total_tokens(messages) <= budget


def test_the_sum_of_this_turns_results_is_bounded() -> None:
    calls = tuple(ToolCall(id=str(i), name="t", arguments="{}") for i in range(8))
    current = [
        ChatMessage(role="user", content="now"),
        ChatMessage(role="assistant", content="", tool_calls=calls),
        *[ChatMessage(role="tool", content="r" * 20_000, tool_call_id=c.id) for c in calls],
    ]
    messages = fit(SYSTEM, [], current, 8_000)
    assert total_tokens(messages) <= 8_000
    assert len(messages) == len(current) + 1
    assert "cut by databot" in messages[3].content


def test_a_short_result_is_left_as_it_is() -> None:
    message = ChatMessage(role="tool", content="short", tool_call_id="1")
    assert shorten_result(message, 800) is message


def test_only_whole_exchanges_of_the_history_are_taken_the_last_ones_first() -> None:
    older, newer = exchange(0, 10, 1), exchange(1, 10, 0)
    enough = total_tokens(newer)
    assert latest([*older, *newer], enough) == newer
    assert latest([*older, *newer], enough + total_tokens(older) - 1) == newer
    assert latest([*older, *newer], enough + total_tokens(older)) == [*older, *newer]
    assert latest(newer, enough - 1) == []


def test_what_stands_before_the_first_question_is_an_exchange_of_its_own() -> None:
    greeting = ChatMessage(role="assistant", content="Welcome.")
    history = [greeting, *exchange(0, 10, 0)]
    assert latest(history, 10_000) == history
    assert latest(history, total_tokens(history) - 1) == history[1:]
