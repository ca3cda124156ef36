"""The whole reply as the fold of a turn's events."""

from collections.abc import Mapping
from typing import Any

from databot.agents.base import AgentEvent, Answered
from databot.types.chat import Usage
from databot.types.errors import DatabotError
from databot.types.events import AgentSelected, TextDelta, ToolFinished, ToolStarted
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage, ToolReport, Turn


class ReplyFold:
    """Collects what a turn's events say about its reply."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._agent = ""
        self._text: list[str] = []
        self._args: dict[str, Mapping[str, Any]] = {}
        self._tools: list[ToolReport] = []
        self._evidence: list[Evidence] = []
        self._artifacts: list[ArtifactRef] = []
        self._citations: tuple[Citation, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._finish_reason = ""
        self._usage = Usage()

    def add(self, event: AgentEvent) -> None:
        """Take one event in."""
        match event:
            case TextDelta():
                self._text.append(event.text)
            case AgentSelected():
                self._agent = event.agent
            case ToolStarted():
                self._args[event.call_id] = event.args
            case ToolFinished():
                self._add_tool(event)
            case Answered():
                self._citations = event.citations
                self._notes = event.notes
                self._finish_reason = event.finish_reason
                self._usage = event.usage
            case _:
                pass

    def reply(self) -> OutboundMessage:
        """The whole reply. Raises `DatabotError` when the agent, or a middleware around it, had no last word."""
        if not self._finish_reason:
            raise DatabotError(
                "the agent ended without an answer",
                hint="the last event of an agent, and of a middleware around it, must be `Answered`",
            )
        message = self._turn.message
        return OutboundMessage(
            channel=message.channel,
            chat_id=message.chat_id,
            thread_id=message.thread_id,
            tenant_id=message.tenant_id,
            bot_id=message.bot_id,
            session_id=message.session_id,
            turn_id=self._turn.id,
            content="".join(self._text),
            agent=self._agent,
            finish_reason=self._finish_reason,
            tools=tuple(self._tools),
            citations=self._citations,
            evidence=tuple(sorted(self._evidence, key=lambda item: item.purpose == "lookup")),
            artifacts=tuple(self._artifacts),
            notes=self._notes,
            usage=self._usage,
        )

    def _add_tool(self, event: ToolFinished) -> None:
        args = self._args.get(event.call_id, {})
        self._tools.append(ToolReport(name=event.tool, args=args, ok=event.ok, ms=event.ms))
        self._evidence.extend(event.evidence)
        self._artifacts.extend(event.artifacts)
