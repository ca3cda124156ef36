"""A bot without a daemon behind it: answers by script, so that the terminal can be tested alone.

`python -m tests.cli.fake_bot ARGS` is `databot chat ARGS` on it. What it does depends on the question: `slow` waits until
it is cancelled, `drop` until a person has decided, `stubborn` longer, `fail` fails, `refuse` is not even accepted, `broken` raises what nobody expects, `long` writes more
than a screen, anything else is answered with a table, a tool call, evidence and a note.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from databot.cli.bot import OpenBot
from databot.connectors.base import (
    BaseConnector,
    CallContext,
    Connectors,
    ConnectorStatus,
    Health,
    HealthState,
    QueryLimits,
    QueryResult,
    SqlSource,
    TableInfo,
    TableName,
)
from databot.core.base import Wake, Watch
from databot.gateway.base import AgentInfo, BotInfo, ComponentStatus, ToolInfo
from databot.plugins.base import PluginStatus
from databot.storage.base import Accepted, Artifact, LoggedMessage, SessionSummary
from databot.tools.base import Approval, Verdict
from databot.types.errors import Busy, NotFound
from databot.types.events import (
    AgentSelected,
    ApprovalRequested,
    MessageCompleted,
    StreamEvent,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnFinished,
    TurnRestarted,
    TurnStarted,
)
from databot.types.evidence import ArtifactRef, Evidence
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage, Principal

REPLY = "Here are the **countries**:\n\n| country | orders |\n|---|---|\n| Japan | 12 |\n| Spain | 7 |\n\nThat is all."
LONG = "\n\n".join(f"paragraph {n} " + "words " * 30 for n in range(1, 41)) + "\n\nthe last line"
CHART = ArtifactRef(id="art_1", name="chart.svg", media_type="image/svg+xml", size=4)
EVIDENCE = Evidence(
    connector="warehouse",
    statement="SELECT country, COUNT(*) AS orders FROM orders GROUP BY country",
    rows=2,
    truncated=False,
    elapsed_ms=12.0,
    as_of="2026-01-31T09:30:00+00:00",
    columns=("country", "orders"),
    sample=(("Japan", 12), ("Spain", 7)),
)


@dataclass(frozen=True)
class FakeChoice:
    model: str = "scripted"
    reason: str = "for tests"
    how_to_change: str = "you cannot"


class FakeEngine:
    """Knows only how to cancel."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.stop = asyncio.Event()

    async def publish(self, message: InboundMessage) -> Accepted:
        raise NotImplementedError(message)

    async def watch(self, tenant_id: str, turn_id: str, wake: Wake, *, after: int = 0) -> Watch:
        raise NotImplementedError(tenant_id, turn_id, wake, after)

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        assert tenant_id == "default"
        self.cancelled.append(turn_id)
        self.stop.set()


class FakeSource:
    """A database of one table."""

    dialect = "sqlite"

    def __init__(self, name: str) -> None:
        self.name = name

    async def query(
        self, sql: str, context: CallContext, limits: QueryLimits | None = None
    ) -> QueryResult:
        del context, limits
        import pyarrow as pa

        table = pa.table({"country": ["Japan", None], "orders": [12, 7]})
        return QueryResult(statement=sql, table=table, truncated=True, elapsed_ms=3.0)

    async def list_schemas(self) -> Sequence[str]:
        return ["main"]

    async def list_tables(self, schema: str | None = None) -> Sequence[TableName]:
        del schema
        return [TableName(schema="", name="orders", row_estimate=19)]

    async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
        raise NotImplementedError(schema)

    async def describe_table(self, name: str) -> TableInfo:
        raise NotImplementedError(name)

    async def sample(self, name: str, context: CallContext, rows: int = 5) -> QueryResult:
        raise NotImplementedError(name, context, rows)

    async def explain(self, sql: str, context: CallContext) -> str:
        raise NotImplementedError(sql, context)


@dataclass
class FakeConnectors:
    sources: dict[str, SqlSource] = field(
        default_factory=lambda: {"warehouse": FakeSource("warehouse")}
    )

    def names(self) -> Sequence[str]:
        return list(self.sources)

    def get(self, name: str) -> BaseConnector:
        raise NotImplementedError(name)

    def sql(self) -> Mapping[str, SqlSource]:
        return self.sources

    async def statuses(self) -> Sequence[ConnectorStatus]:
        health = Health(state=HealthState.OK, latency_ms=1.0)
        return [ConnectorStatus(name=name, type="sql", health=health) for name in self.sources]


@dataclass
class FakeSessions:
    names: Sequence[str] = ("monday", "tuesday")

    async def list(
        self, tenant_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[SessionSummary]:
        del limit, before
        when = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
        return [
            SessionSummary(
                conversation=ConversationKey(
                    tenant_id=tenant_id, bot_id="default", session_id=name
                ),
                channel="cli",
                title=f"about {name}",
                turns=2,
                created_at=when,
                updated_at=when,
            )
            for name in self.names
        ]

    async def find(self, tenant_id: str, session_id: str) -> ConversationKey | None:
        if session_id not in self.names:
            return None
        return ConversationKey(tenant_id=tenant_id, bot_id="default", session_id=session_id)

    async def messages(self, conversation: ConversationKey) -> Sequence[LoggedMessage]:
        raise NotImplementedError(conversation)

    async def delete(self, conversation: ConversationKey) -> bool:
        raise NotImplementedError(conversation)


class FakeArtifacts:
    async def save(
        self, conversation: ConversationKey, name: str, media_type: str, data: bytes
    ) -> ArtifactRef:
        raise NotImplementedError(conversation, name, media_type, data)

    async def load(self, tenant_id: str, artifact_id: str) -> Artifact | None:
        if artifact_id != CHART.id:
            return None
        key = ConversationKey(tenant_id=tenant_id, bot_id="default", session_id="s")
        return Artifact(ref=CHART, conversation=key, data=b"<svg")

    async def delete_all(self, conversation: ConversationKey) -> int:
        raise NotImplementedError(conversation)


class FakeCatalog:
    def agents(self, tenant_id: str) -> Sequence[AgentInfo]:
        assert tenant_id == "default"
        return [
            AgentInfo(name="sql", description="data", active=True, tools=("sql",), model="m"),
            AgentInfo(name="kafka", description="topics", active=False, tools=(), model="m"),
        ]

    def tools(self, tenant_id: str) -> Sequence[ToolInfo]:
        raise NotImplementedError(tenant_id)

    def connectors(self, tenant_id: str) -> Connectors:
        raise NotImplementedError(tenant_id)

    def channels(self) -> Sequence[ComponentStatus]:
        return []

    def plugins(self) -> Sequence[PluginStatus]:
        return []

    def bots(self, tenant_id: str) -> Sequence[BotInfo]:
        return [BotInfo(id="default", name="databot", tenant_id=tenant_id)]

    async def components(self) -> Sequence[ComponentStatus]:
        return []


class FakeApprovals:
    """One call that waits until it is decided; `verdicts` has what was."""

    def __init__(self) -> None:
        self.waiting: list[Approval] = []
        self.verdicts: list[tuple[str, Verdict]] = []
        self.decided = asyncio.Event()

    def ask(self, turn: str, session: str) -> None:
        when = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
        self.waiting = [
            Approval(
                id="apr_1",
                conversation=ConversationKey(
                    tenant_id="default", bot_id="default", session_id=session
                ),
                turn_id=turn,
                call_id="c1",
                tool="drop",
                arguments='{"table": "orders", "why": "\\u202eold\\u001b[2J"}',
                digest="",
                state="pending",
                requested_at=when,
                expires_at=when + timedelta(days=7),
            )
        ]

    async def pending(
        self, principal: Principal, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        del principal
        return [item for item in self.waiting if turn_id in {None, item.turn_id}][:limit]

    async def decide(
        self, principal: Principal, approval_id: str, verdict: Verdict, *, note: str = ""
    ) -> Approval:
        del principal, note
        (approval,) = self.waiting
        self.waiting = []
        self.verdicts.append((approval_id, verdict))
        self.decided.set()
        return approval


class FakeBot:
    """What the terminal needs of a bot; remembers what it was asked."""

    def __init__(self) -> None:
        self.rag = None
        self.engine = FakeEngine()
        self.sessions = FakeSessions()
        self.artifacts = FakeArtifacts()
        self.connectors = FakeConnectors()
        self.catalog = FakeCatalog()
        self.choice = FakeChoice()
        self.approvals = FakeApprovals()
        self.asked: list[dict[str, Any]] = []

    async def stream(
        self,
        text: str,
        *,
        session_id: str | None = None,
        bot_id: str = "default",
        channel: str = "cli",
        key: str | None = None,
    ) -> AsyncGenerator[StreamEvent]:
        self.asked.append({"text": text, "session": session_id, "bot": bot_id, "key": key})
        if bot_id != "default":
            raise NotFound("bot", bot_id)
        if text == "refuse":
            raise Busy("too much is waiting", retry_after_s=2)
        if text == "broken":
            raise ZeroDivisionError
        turn, session = f"turn_{len(self.asked)}", session_id or "new"
        yield TurnStarted(turn_id=turn, session_id=session)
        yield AgentSelected(turn_id=turn, agent="sql", reason="rule: orders")
        if text == "slow":
            yield ToolStarted(turn_id=turn, call_id="c1", tool="sql", args={"sql": "SELECT 1"})
            await self.engine.stop.wait()
        if text == "stubborn":
            await asyncio.Event().wait()
        if text in {"slow", "fail"}:
            reason = "the turn was cancelled" if text == "slow" else "the model did not answer"
            kind = "cancelled" if text == "slow" else "model_timeout"
            yield TurnFailed(turn_id=turn, session_id=session, error=kind, reason=reason)
            return
        async for event in self.answer(text, turn, session, channel):
            yield event

    async def answer(
        self, text: str, turn: str, session: str, channel: str
    ) -> AsyncGenerator[StreamEvent]:
        if text == "drop":
            self.approvals.ask(turn, session)
            yield ApprovalRequested(
                turn_id=turn, approval_id="apr_1", tool="drop", args={"table": "orders"}
            )
            await self.approvals.decided.wait()
            yield TurnRestarted(turn_id=turn)
            [(name, verdict)] = self.approvals.verdicts
            text = f"{name}: {verdict}"
        content = {"long": LONG, "hostile": "red \x1b[31mtext\x1b]0;title\x07"}.get(
            text, text if text.startswith("apr_") else REPLY
        )
        yield ToolStarted(turn_id=turn, call_id="c1", tool="sql", args={"sql": "SELECT 1"})
        yield ToolFinished(
            turn_id=turn, call_id="c1", tool="sql", ok=True, ms=12.0, summary="2 rows"
        )
        for start in range(0, len(content), 7):
            yield TextDelta(turn_id=turn, text=content[start : start + 7])
        message = OutboundMessage(
            channel=channel,
            chat_id=session,
            content=content,
            turn_id=turn,
            session_id=session,
            agent="sql",
            evidence=(EVIDENCE,),
            artifacts=(CHART,),
            notes=("a remark by code",),
        )
        yield MessageCompleted(turn_id=turn, message=message)
        yield TurnFinished(turn_id=turn, message=message)


def opening(bot: FakeBot | None = None) -> OpenBot:
    """A function that opens a fake bot."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[FakeBot]:
        yield bot or FakeBot()

    return opened


def main(arguments: Sequence[str]) -> int:
    """`databot chat` on the fake: `[--json] [-m TEXT]`."""
    from databot.cli.chat.command import run_chat
    from databot.cli.chat.modes import ChatOptions
    from databot.cli.output import Output

    message = arguments[arguments.index("-m") + 1] if "-m" in arguments else None
    options = ChatOptions(
        open_bot=opening(),
        session_id="here",
        bot_id="default",
        output=Output.detect(),
        as_json="--json" in arguments,
    )
    return run_chat(options, message, Path.cwd() / "data" / "history")


if __name__ == "__main__":
    from databot.cli.failure import report
    from databot.cli.status import INTERRUPTED

    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # boundary: command line
        sys.exit(report(error, debug="--debug" in sys.argv))
