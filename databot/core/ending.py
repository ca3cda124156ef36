"""How a turn ended, rebuilt from the store as the events that end its stream."""

from databot.storage.base import TurnRecord
from databot.types.errors import DatabotError, describe
from databot.types.events import MessageCompleted, StreamEvent, TurnFailed, TurnFinished


def kept_for_later(error: DatabotError) -> str:
    """What a person is told of a turn that the store fails for now."""
    return f"{describe(error)}; the message is kept and is answered when that is over"


def final_events(turn_id: str, record: TurnRecord | None) -> list[StreamEvent]:
    """The last events of a turn that has ended; of one that was deleted, too."""
    if record is None:
        reason = "the conversation was deleted"
        return [TurnFailed(turn_id=turn_id, session_id="", error="not_found", reason=reason)]
    if record.reply is not None and record.state == "done":
        return [
            MessageCompleted(turn_id=turn_id, message=record.reply),
            TurnFinished(turn_id=turn_id, message=record.reply),
        ]
    return [failure(record)]


def failure(record: TurnRecord) -> TurnFailed:
    """How a turn ended that has no reply."""
    error = record.error or {}
    return TurnFailed(
        turn_id=record.turn_id,
        session_id=record.conversation.session_id,
        error=error.get("type", record.state),
        reason=error.get("message", f"the turn is {record.state}"),
    )
