"""What is delivered when a turn ends."""

from databot.channels.deliveries import delivery_of
from databot.testing.clock import START
from databot.types.events import TurnFailed
from databot.types.messages import InboundMessage, Principal, Turn
from tests.channels.post import reply

TURN = Turn(
    id="t1",
    message=InboundMessage(
        channel="post",
        chat_id="room",
        thread_id="7",
        sender_id="ann",
        content="hi",
        principal=Principal(id="ann"),
        tenant_id="acme",
        bot_id="sales",
    ),
    started_at=START,
)


def failed(error: str) -> TurnFailed:
    return TurnFailed(turn_id="t1", session_id="room:7", error=error, reason="no answer came")


def test_a_reply_is_delivered_as_it_is() -> None:
    message = reply("t1")
    assert delivery_of(TURN, message, channels={"post"}) is message


def test_a_failure_is_told_in_the_place_where_was_asked() -> None:
    told = delivery_of(TURN, failed("model_timeout"), channels={"post"})
    assert told is not None
    assert told.content == "I could not answer: no answer came"
    assert (told.channel, told.chat_id, told.thread_id) == ("post", "room", "7")
    assert (told.tenant_id, told.bot_id, told.session_id) == ("acme", "sales", "room:7")
    assert (told.turn_id, told.finish_reason) == ("t1", "failed")
    stopped = delivery_of(TURN, failed("cancelled"), channels={"post"})
    assert stopped is not None
    assert stopped.finish_reason == "cancelled"


def test_a_turn_that_came_from_elsewhere_is_delivered_nowhere() -> None:
    assert delivery_of(TURN, failed("cancelled"), channels={"pager"}) is None
