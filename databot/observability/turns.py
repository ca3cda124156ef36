"""The life of turns as log lines: one for each turn at `info`, one for each tool call at `debug`.

A subscriber of the bus. It writes what an operator asks first (which conversation, who answered, how it ended, how long
it took and what it cost) and never what was said, asked of a data system, or found there.
"""

import logging
from time import perf_counter

from databot.types.events import StreamEvent, ToolFinished, TurnFailed, TurnFinished, TurnStarted
from databot.types.messages import Turn

log = logging.getLogger("databot.turns")


class TurnLog:
    """Tells of every turn that ends."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[float, int]] = {}
        """When a turn began, and how many tool calls it has made."""

    def note(self, turn: Turn, event: StreamEvent) -> None:
        """Take in one event; costs nothing to speak of where nobody reads such lines."""
        if not log.isEnabledFor(logging.INFO):
            return
        match event:
            case TurnStarted():
                self._begun[turn.id] = (perf_counter(), 0)
            case ToolFinished():
                self._tool(turn, event)
            case TurnFinished():
                reply = event.message
                usage = {
                    "input_tokens": reply.usage.input_tokens,
                    "output_tokens": reply.usage.output_tokens,
                    "cost_usd": reply.usage.cost_usd,
                }
                self._ended(turn, {"agent": reply.agent, "outcome": reply.finish_reason, **usage})
            case TurnFailed():
                self._ended(turn, {"outcome": event.error})
            case _:
                pass

    def _tool(self, turn: Turn, event: ToolFinished) -> None:
        begun, calls = self._begun.get(turn.id, (perf_counter(), 0))
        self._begun[turn.id] = (begun, calls + 1)
        outcome = "ok" if event.ok else "failed"
        fields = {"tool": event.tool, "outcome": outcome, "ms": event.ms}
        log.debug("tool %s %s in %.0f ms", event.tool, outcome, event.ms, extra={"fields": fields})

    def _ended(self, turn: Turn, facts: dict[str, object]) -> None:
        begun, calls = self._begun.pop(turn.id, (perf_counter(), 0))
        message = turn.message
        fields = {
            "tenant": message.tenant_id,
            "bot": message.bot_id,
            "channel": message.channel,
            "session_id": message.session_id,
            **facts,
            **({"attempt": turn.attempt} if turn.attempt > 1 else {}),
            "ms": round((perf_counter() - begun) * 1000, 1),
            "tools": calls,
        }
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        log.info("turn %s ended: %s", turn.id, told, extra={"fields": {"event": "turn", **fields}})
