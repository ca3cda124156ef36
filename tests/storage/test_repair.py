from hypothesis import given
from hypothesis import strategies as st

from databot.storage.repair import NO_RESULT, answered
from databot.types.chat import ChatMessage, ToolCall

NAMES = ("a", "b", "c")


def call(*ids: str) -> ChatMessage:
    calls = tuple(ToolCall(id=item, name="sql", arguments="{}") for item in ids)
    return ChatMessage(role="assistant", content="", tool_calls=calls)


def result(of: str | None) -> ChatMessage:
    return ChatMessage(role="tool", content="1", tool_call_id=of)


USER = ChatMessage(role="user", content="q")


def test_what_is_whole_stays_as_it_is() -> None:
    whole = [USER, call("a", "b"), result("b"), result("a"), USER]
    assert answered(whole) == whole


def test_a_missing_result_is_filled_in_before_the_next_message() -> None:
    mended = answered([call("a", "b"), result("a"), USER])
    assert [item.tool_call_id for item in mended] == [None, "a", "b", None]
    assert mended[2].content == NO_RESULT


def test_a_result_nobody_asked_for_is_left_out() -> None:
    assert answered([USER, result("a"), result(None)]) == [USER]


def test_a_second_result_of_one_call_is_left_out() -> None:
    assert answered([call("a"), result("a"), result("a")]) == [call("a"), result("a")]


messages = st.one_of(
    st.just(USER),
    st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(lambda ids: call(*ids)),
    st.sampled_from(NAMES).map(result),
)


@given(st.lists(messages, max_size=12))
def test_every_call_is_answered_at_once_and_nothing_else_is_an_answer(
    history: list[ChatMessage],
) -> None:
    waiting: set[str] = set()
    for message in answered(history):
        if message.role == "tool":
            assert message.tool_call_id in waiting
            waiting.remove(message.tool_call_id)
        else:
            assert not waiting
            waiting = {item.id for item in message.tool_calls}
    assert not waiting
