"""A tool call that waits for a person, as lines for a terminal: made from the call itself, whole. Pure functions."""

import json
from collections.abc import Sequence

from databot.cli.text import moment, safe
from databot.tools.base import Approval
from databot.types.approvals import whole_arguments


def card(approval: Approval) -> list[str]:
    """What would be run, and until when it can be decided on."""
    until = f"asked {moment(approval.requested_at)}, waits until {moment(approval.expires_at)} UTC"
    return [
        f"! {approval.tool} needs a person's approval:",
        *(f"    {line}" for line in arguments_text(approval).splitlines()),
        f"  {until}",
    ]


def arguments_text(approval: Approval, indent: int | None = 2) -> str:
    """The arguments as JSON, with what would drive or turn the terminal spelled out."""
    values = whole_arguments(approval.arguments)
    text = json.dumps(values, ensure_ascii=False, indent=indent)
    return "".join(shown(character) for character in text)


def shown(character: str) -> str:
    """A character a person can see, or its number: what is hidden from the eye is not hidden from the tool."""
    if character == "\n" or character.isprintable():
        return character
    return f"\\u{ord(character):04x}"


def how_to_decide(approvals: Sequence[Approval], session_id: str) -> list[str]:
    """What to type where nobody can be asked."""
    lines = [f"  databot approvals approve {item.id}   (or deny)" for item in approvals]
    goes_on = (
        "a running databot then goes on by itself, else the next message of this conversation:"
    )
    return [
        "the answer waits until this is decided:",
        *lines,
        f"{goes_on} databot chat --session {safe(session_id)}",
    ]
