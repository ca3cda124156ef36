"""The tools `remember`, `recall` and `forget`: small facts a person asked databot to keep.

Scoped to the tenant and the person who calls; no argument can name another scope.
"""

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from databot.memory.base import KeyValueMemory
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult, ToolServices
from databot.tools.cells import one_line_json
from databot.types.errors import ToolError, shorten

MAX_KEYS = 200
MAX_VALUE = 2_000
MAX_RECALLED = 16_000
KEY = r"^[^\s\x00-\x1f][^\x00-\x1f]{0,99}$"


class RememberArguments(BaseModel):
    """What is to be kept."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(pattern=KEY, description="A short name of the fact, e.g. `fiscal year`.")
    value: str = Field(min_length=1, max_length=MAX_VALUE, description="The fact.")


class RecallArguments(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(
        default=None, max_length=100, description="One fact by name; left out: all of them."
    )


class ForgetArguments(BaseModel):
    """What is no longer to be kept."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=100, description="The fact's name.")


class _MemoryTool(BaseTool):
    """What the three share."""

    def __init__(self, memory: KeyValueMemory) -> None:
        self._memory = memory

    @classmethod
    def create(cls, services: ToolServices) -> Self | None:
        """There is always a memory."""
        return cls(services.memory)


def _scope(context: ToolContext) -> tuple[str, str]:
    return context.conversation.tenant_id, context.principal.id


class RememberTool(_MemoryTool):
    """Keeps a fact, replacing what the key held."""

    name = "remember"
    description = "Keep a small fact for this person, when they ask for it to be remembered."
    Arguments: ClassVar[type[BaseModel]] = RememberArguments
    effect = Effect.IDEMPOTENT

    async def run(self, arguments: RememberArguments, context: ToolContext) -> ToolResult:
        known = await self._memory.items(*_scope(context))
        if arguments.key not in known and len(known) >= MAX_KEYS:
            raise ToolError(
                f"nothing was kept: there are {len(known)} facts already, the most there may be",
                hint="forget some that are no longer needed",
            )
        await self._memory.put(*_scope(context), arguments.key, arguments.value)
        said = f"remembered {arguments.key!r}"
        return ToolResult(content=f"{said}.", summary=said)


class RecallTool(_MemoryTool):
    """Reads one fact, or all."""

    name = "recall"
    description = "Read the facts this person asked to be remembered: one by its key, or all."
    Arguments: ClassVar[type[BaseModel]] = RecallArguments
    effect = Effect.READ

    async def run(self, arguments: RecallArguments, context: ToolContext) -> ToolResult:
        known = await self._memory.items(*_scope(context))
        if not arguments.key:
            return _recalled(dict(known))
        if arguments.key not in known:
            raise ToolError(_unknown(arguments.key, tuple(known)))
        return _recalled({arguments.key: known[arguments.key]})


class ForgetTool(_MemoryTool):
    """Deletes a fact."""

    name = "forget"
    description = "Delete one remembered fact of this person."
    Arguments: ClassVar[type[BaseModel]] = ForgetArguments
    effect = Effect.IDEMPOTENT

    async def run(self, arguments: ForgetArguments, context: ToolContext) -> ToolResult:
        if not await self._memory.delete(*_scope(context), arguments.key):
            known = await self._memory.items(*_scope(context))
            raise ToolError(_unknown(arguments.key, tuple(known)))
        said = f"forgot {arguments.key!r}"
        return ToolResult(content=f"{said}.", summary=said)


def _unknown(key: str, known: tuple[str, ...]) -> str:
    there = f"the keys are: {', '.join(known)}" if known else "nothing is remembered"
    return shorten(f"nothing is remembered as {shorten(key)!r}; {there}", 1_000)


def _recalled(facts: dict[str, str]) -> ToolResult:
    """The facts as one line of JSON; what does not fit keeps its key."""
    shown: dict[str, str] = {}
    room = MAX_RECALLED
    for key, value in facts.items():
        room -= len(value)
        shown[key] = value if room >= 0 else "(left out: ask for this key)"
    count = f"{len(facts)} fact{'' if len(facts) == 1 else 's'}"
    return ToolResult(content=one_line_json({"facts": shown}), summary=count)
