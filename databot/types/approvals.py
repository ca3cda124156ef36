"""What binds a person's decision to one tool call, and what the person is shown of it."""

import json
from contextlib import suppress
from hashlib import sha256
from typing import Any, cast

DEEPEST = 100
"""Levels of brackets in arguments that are shown as JSON."""


def call_digest(tool: str, arguments: str) -> str:
    """A digest of the tool and its arguments (JSON text), the same however their JSON is spaced or ordered."""
    with suppress(ValueError, RecursionError):
        arguments = json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    return sha256(f"{tool}\0{arguments}".encode(errors="replace")).hexdigest()


def approval_id(turn_id: str, call_id: str) -> str:
    """The name of the approval of one call of one turn: asking for it twice asks for the same one."""
    return "apr_" + sha256(f"{turn_id}\0{call_id}".encode(errors="replace")).hexdigest()[:24]


def whole_arguments(arguments: str) -> dict[str, Any]:
    """All of a call's arguments (JSON text), as a person must see them to decide; what is no object stands as text."""
    with suppress(ValueError):
        parsed: object = None if is_deep(arguments) else json.loads(arguments or "{}")
        if isinstance(parsed, dict):
            return cast("dict[str, Any]", parsed)
    return {"": arguments}


def is_deep(text: str) -> bool:
    """Whether JSON text may be nested more deeply than it could be written again."""
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest > DEEPEST
