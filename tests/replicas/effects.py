"""A plugin with a tool of each effect that changes something, for daemons of these tests: installed as `databot_effects`.

Each line it writes is one effect on the world outside. `O_APPEND` keeps the lines of several processes apart.
"""

import os
from typing import ClassVar

from pydantic import BaseModel

from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult

FILE = "DATABOT_TEST_EFFECTS"


class About(BaseModel):
    """The message the effect is of."""

    message: str


def record(*words: str) -> None:
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, (" ".join(words) + "\n").encode())
    finally:
        os.close(file)


class Mark(BaseTool):
    """Plain: each call is one more."""

    name = "mark"
    description = "Mark a message."
    Arguments: ClassVar[type[BaseModel]] = About
    effect = Effect.PLAIN

    async def run(self, arguments: About, context: ToolContext) -> ToolResult:
        del context
        record("plain", arguments.message, "-")
        return ToolResult(content=f"marked {arguments.message}")


class Keep(BaseTool):
    """Idempotent: the far side knows a call again by its key."""

    name = "keep"
    description = "Keep a message."
    Arguments: ClassVar[type[BaseModel]] = About
    effect = Effect.IDEMPOTENT

    async def run(self, arguments: About, context: ToolContext) -> ToolResult:
        record("idempotent", arguments.message, context.idempotency_key)
        return ToolResult(content=f"kept {arguments.message}")
