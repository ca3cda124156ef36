"""A message that comes again under a name its sender gave it: it must be the same message."""

from databot.types.errors import Conflict
from databot.types.messages import InboundMessage


def check_repeated(
    first: InboundMessage, again: InboundMessage, *, named: bool, key: str = "Idempotency-Key"
) -> None:
    """Refuse a key that was used for another message; `named` says that this one names its session.

    Raises:
        Conflict: it was; the message calls the key by what people know it as.
    """
    same_place = first.bot_id == again.bot_id and not (
        named and first.session_id != again.session_id
    )
    if not (same_place and first.attachments == again.attachments and _asks_the_same(first, again)):
        raise Conflict(f"this {key} was used for another message", hint="use a new key")


def _asks_the_same(first: InboundMessage, again: InboundMessage) -> bool:
    """The engine has kept `@sql how many?` as `how many?` for the agent sql."""
    if (first.content, first.agent) == (again.content, again.agent):
        return True
    name, *rest = again.content.split(maxsplit=1)
    forced = (
        first.agent is not None
        and again.agent is None
        and name.lower() == f"@{first.agent}".lower()
    )
    return forced and [first.content.strip()] == [each.strip() for each in rest]
