"""A whole house in memory behind the gateway's contracts: it answers by a script, and can be held in the middle of a turn."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from databot.connectors.base import (
    BaseConnector,
    CallContext,
    Connectors,
    ConnectorStatus,
    Health,
    HealthState,
    Operation,
)
from databot.core.base import Wake, Watch
from databot.dispatch.base import NumberedEvent
from databot.gateway.base import AgentInfo, BotInfo, ComponentStatus, GatewayServices, ToolInfo
from databot.plugins.base import PluginStatus
from databot.storage.base import (
    Accepted,
    Artifact,
    LoggedMessage,
    SessionSummary,
    TurnRecord,
    TurnState,
)
from databot.tools.base import Approval, Verdict
from databot.types.approvals import call_digest
from databot.types.chat import ToolSpec, Usage
from databot.types.errors import Conflict, ConnectorError, NotFound
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
    TurnStarted,
    reply_payload,
)
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import (
    ConversationKey,
    InboundMessage,
    OutboundMessage,
    Principal,
    ToolReport,
)

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
HOLD = None
"""In a script: wait here until `release` is called."""
Script = Callable[[str, InboundMessage], Sequence[StreamEvent | None]]


def reply_to(turn_id: str, message: InboundMessage, text: str) -> OutboundMessage:
    return OutboundMessage(
        channel=message.channel,
        chat_id=message.chat_id,
        content=text,
        turn_id=turn_id,
        session_id=message.session_id,
        agent="sql",
        tools=(ToolReport(name="sql", args={"sql": "select 1"}, ok=True, ms=1.5),),
        citations=(
            Citation(marker="[1]", title="Orders", source="orders.md", quote="…", score=0.9),
        ),
        evidence=(
            Evidence(
                connector="warehouse",
                statement="select 1",
                rows=1,
                truncated=False,
                elapsed_ms=1.5,
                as_of="2026-01-01T00:00:00Z",
                columns=("n",),
                sample=((1,),),
            ),
        ),
        notes=("a note",),
        usage=Usage(input_tokens=10, output_tokens=5, cost_usd=0.001),
    )


def echo(turn_id: str, message: InboundMessage) -> Sequence[StreamEvent | None]:
    """`fail TYPE` fails so, `hold …` stops in the middle, everything else is answered at once."""
    text = f"**You said** {message.content}"
    reply = reply_to(turn_id, message, text)
    started = TurnStarted(turn_id=turn_id, session_id=message.session_id)
    if message.content.startswith("fail "):
        kind = message.content.removeprefix("fail ")
        failed = TurnFailed(
            turn_id=turn_id, session_id=message.session_id, error=kind, reason="it went wrong"
        )
        return [started, failed]
    return [
        started,
        AgentSelected(turn_id=turn_id, agent="sql", reason="the only one"),
        ToolStarted(turn_id=turn_id, call_id="c1", tool="sql", args={"sql": "select 1"}),
        *([HOLD] if message.content.startswith("hold") else []),
        *([asking(turn_id), HOLD] if message.content.startswith("drop") else []),
        ToolFinished(turn_id=turn_id, call_id="c1", tool="sql", ok=True, ms=1.5, summary="1 row"),
        TextDelta(turn_id=turn_id, text="**You said** "),
        TextDelta(turn_id=turn_id, text=message.content),
        MessageCompleted(turn_id=turn_id, message=reply),
        TurnFinished(turn_id=turn_id, message=reply),
    ]


def asking(turn_id: str) -> ApprovalRequested:
    return ApprovalRequested(
        turn_id=turn_id, approval_id=f"apr_{turn_id}", tool="drop", args={"table": "orders"}
    )


class ApprovalDesk:
    """What `drop …` asks for: the turn goes on when it is decided."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self.kept: dict[str, Approval] = {}
        self.release_at_once = True

    def ask(self, turn_id: str) -> None:
        record = self._house.records[turn_id]
        self._house.records[turn_id] = replace(record, state="waiting")
        arguments = '{"table": "orders", "why": "<b>old</b>"}'
        self.kept[f"apr_{turn_id}"] = Approval(
            id=f"apr_{turn_id}",
            conversation=record.conversation,
            turn_id=turn_id,
            call_id="c1",
            tool="drop",
            arguments=arguments,
            digest=call_digest("drop", arguments),
            state="pending",
            requested_at=BEGINNING,
            expires_at=BEGINNING + timedelta(days=7),
        )

    async def pending(
        self, principal: Principal, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        return [
            item
            for item in self.kept.values()
            if item.state == "pending"
            and item.conversation.tenant_id == principal.tenant_id
            and turn_id in {None, item.turn_id}
        ][:limit]

    async def decide(
        self, principal: Principal, approval_id: str, verdict: Verdict, *, note: str = ""
    ) -> Approval:
        found = self.kept.get(approval_id)
        if found is None or found.conversation.tenant_id != principal.tenant_id:
            raise NotFound("approval", approval_id)
        if found.state != "pending":
            raise Conflict(f"this call was {found.state} before")
        decided = replace(
            found,
            state="approved" if verdict == "approve" else "denied",
            decided_by=principal.id,
            decided_at=BEGINNING,
            note=note,
        )
        self.kept[approval_id] = decided
        if self.release_at_once:
            await self._house.release(found.turn_id)
        return decided


class Reader:
    """Implements `Watch` on what a house told of a turn."""

    def __init__(self, house: "House", told: list[StreamEvent], wake: Wake, after: int) -> None:
        self._house = house
        self._told = told
        self._after = after
        self.wake = wake
        house.readers.append(self)
        house.nobody_reads.clear()

    @property
    def fresh(self) -> bool:
        return self.ended or self._after < len(self._told)

    @property
    def ended(self) -> bool:
        over = bool(self._told) and isinstance(self._told[-1], TurnFinished | TurnFailed)
        return over and self._after >= len(self._told)

    def take(self) -> Sequence[NumberedEvent]:
        begun, self._after = self._after, max(self._after, len(self._told))
        return [
            NumberedEvent(number=number, event=self._told[number - 1])
            for number in range(begun + 1, self._after + 1)
        ]

    def close(self) -> None:
        if self in self._house.readers:
            self._house.readers.remove(self)
        if not self._house.readers:
            self._house.nobody_reads.set()


class Breaking(Reader):
    """Its stream breaks off after the first event, with whatever `problem` is."""

    problem: Exception = RuntimeError("secret inside")

    def take(self) -> Sequence[NumberedEvent]:
        if self._after:
            raise self.problem
        self._after = 1
        self.wake()
        return [NumberedEvent(number=1, event=self._told[0])]


class Short(Reader):
    """Its stream ends after the first event, without the terminal one."""

    @property
    def ended(self) -> bool:
        return self._after > 0

    def take(self) -> Sequence[NumberedEvent]:
        return super().take()[:1]


class House:
    """Engine, inbox, sessions, artifacts, connectors and catalog in one, each by its contract."""

    reader: type[Reader] = Reader

    def __init__(self, script: Script = echo) -> None:
        self.script = script
        self.records: dict[str, TurnRecord] = {}
        self.files: dict[str, Artifact] = {}
        self.parts: list[ComponentStatus] = [
            ComponentStatus(name="storage", ready=True, detail="fine")
        ]
        self.tenants = {"default": ("default",), "acme": ("default", "acme-bot")}
        self.readers: list[Reader] = []
        self.nobody_reads = asyncio.Event()
        self.refusal: Exception | None = None
        self.approvals = ApprovalDesk(self)
        self._told: dict[str, list[StreamEvent]] = {}
        self._rest: dict[str, list[StreamEvent | None]] = {}
        self._seen: dict[tuple[str, str], str] = {}

    def services(self) -> GatewayServices:
        return GatewayServices(
            engine=self,
            inbox=self,
            sessions=self.Log(self),
            artifacts=self,
            catalog=self,
            approvals=self.approvals,
        )

    # Engine

    async def publish(self, message: InboundMessage) -> Accepted:
        if self.refusal is not None:
            raise self.refusal
        if message.bot_id not in self.tenants.get(message.tenant_id, ()):
            raise NotFound("bot", message.bot_id)
        if message.agent not in {None, "sql"}:
            raise NotFound("agent", message.agent or "")
        return await self.ingest(f"turn_{len(self.records) + 1}", message)

    async def watch(self, tenant_id: str, turn_id: str, wake: Wake, *, after: int = 0) -> Watch:
        if await self.turn(tenant_id, turn_id) is None:
            raise NotFound("turn", turn_id)
        return self.reader(self, self._told[turn_id], wake, after)

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        record = await self.turn(tenant_id, turn_id)
        if record is None:
            raise NotFound("turn", turn_id)
        if self._rest.pop(turn_id, None):
            session_id = record.conversation.session_id
            failed = TurnFailed(
                turn_id=turn_id, session_id=session_id, error="cancelled", reason="stopped"
            )
            await self._tell(turn_id, [failed])

    async def release(self, turn_id: str) -> None:
        """Let a held turn go on to its end."""
        await self._tell(turn_id, self._rest.pop(turn_id))

    def told(self, turn_id: str) -> list[StreamEvent]:
        """The turn's stream, to be tampered with."""
        return self._told[turn_id]

    async def _tell(self, turn_id: str, events: Sequence[StreamEvent | None]) -> None:
        for index, event in enumerate(events):
            if event is None:
                self._rest[turn_id] = list(events[index + 1 :])
                break
            self._told[turn_id].append(event)
            self._note(turn_id, event)
        for reader in tuple(self.readers):
            reader.wake()

    def _note(self, turn_id: str, event: StreamEvent) -> None:
        record = self.records[turn_id]
        if isinstance(event, TurnFinished):
            self.records[turn_id] = replace(record, state="done", reply=event.message)
        elif isinstance(event, TurnFailed):
            error = {"type": event.error, "message": event.reason}
            state: TurnState = "cancelled" if event.error == "cancelled" else "failed"
            self.records[turn_id] = replace(record, state=state, error=error)
        elif isinstance(event, ApprovalRequested):
            self.approvals.ask(turn_id)
        elif isinstance(event, TurnStarted):
            self.records[turn_id] = replace(record, state="running")

    # Inbox

    async def ingest(self, turn_id: str, message: InboundMessage) -> Accepted:
        if message.message_id is not None:
            first = self._seen.setdefault((message.tenant_id, message.message_id), turn_id)
            if first != turn_id:
                return Accepted(turn_id=first, seq=1, duplicate=True)
        seq = len(self.records) + 1
        self.records[turn_id] = TurnRecord(
            turn_id=turn_id,
            conversation=message.conversation,
            seq=seq,
            message=message,
            state="queued",
            accepted_at=BEGINNING + timedelta(seconds=seq),
        )
        self._told[turn_id] = []
        await self._tell(turn_id, self.script(turn_id, message))
        return Accepted(turn_id=turn_id, seq=seq, duplicate=False)

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        record = self.records.get(turn_id)
        return record if record and record.conversation.tenant_id == tenant_id else None

    # ArtifactStore

    async def save(
        self, conversation: ConversationKey, name: str, media_type: str, data: bytes
    ) -> ArtifactRef:
        ref = ArtifactRef(
            id=f"art_{len(self.files) + 1}", name=name, media_type=media_type, size=len(data)
        )
        self.files[ref.id] = Artifact(ref=ref, conversation=conversation, data=data)
        return ref

    async def load(self, tenant_id: str, artifact_id: str) -> Artifact | None:
        found = self.files.get(artifact_id)
        return found if found and found.conversation.tenant_id == tenant_id else None

    async def delete_all(self, conversation: ConversationKey) -> int:
        mine = [key for key, file in self.files.items() if file.conversation == conversation]
        for key in mine:
            del self.files[key]
        return len(mine)

    # Catalog

    def agents(self, tenant_id: str) -> Sequence[AgentInfo]:
        del tenant_id
        return [
            AgentInfo(name="sql", description="Queries", active=True, tools=("sql",), model="m")
        ]

    def tools(self, tenant_id: str) -> Sequence[ToolInfo]:
        del tenant_id
        spec = ToolSpec(name="sql", description="Run a query", parameters={"type": "object"})
        return [ToolInfo(spec=spec, effect="read")]

    def connectors(self, tenant_id: str) -> Connectors:
        del tenant_id
        return self.Links()

    def channels(self) -> Sequence[ComponentStatus]:
        return [ComponentStatus(name="http", ready=True)]

    def plugins(self) -> Sequence[PluginStatus]:
        return [
            PluginStatus(
                group="databot.tools", name="sql", distribution="d", version="1", state="loaded"
            )
        ]

    def bots(self, tenant_id: str) -> Sequence[BotInfo]:
        names = self.tenants.get(tenant_id, ())
        return [BotInfo(id=name, name=f"Bot {name}", tenant_id=tenant_id) for name in names]

    async def components(self) -> Sequence[ComponentStatus]:
        return self.parts

    class Log:
        """Sessions, read from the turns."""

        def __init__(self, house: "House") -> None:
            self._house = house

        def _turns(self, conversation: ConversationKey) -> list[TurnRecord]:
            records = self._house.records.values()
            return [record for record in records if record.conversation == conversation]

        async def list(
            self, tenant_id: str, *, limit: int = 50, before: datetime | None = None
        ) -> Sequence[SessionSummary]:
            keys = dict.fromkeys(record.conversation for record in self._house.records.values())
            found = [self._summary(key) for key in keys if key.tenant_id == tenant_id]
            found.sort(key=lambda each: each.updated_at, reverse=True)
            return [each for each in found if before is None or each.updated_at < before][:limit]

        def _summary(self, key: ConversationKey) -> SessionSummary:
            turns = self._turns(key)
            return SessionSummary(
                conversation=key,
                channel="http",
                title=turns[0].message.content[:40],
                turns=len(turns),
                created_at=turns[0].accepted_at,
                updated_at=turns[-1].accepted_at,
            )

        async def find(self, tenant_id: str, session_id: str) -> ConversationKey | None:
            keys = [record.conversation for record in self._house.records.values()]
            mine = [k for k in keys if (k.tenant_id, k.session_id) == (tenant_id, session_id)]
            return mine[-1] if mine else None

        async def messages(self, conversation: ConversationKey) -> Sequence[LoggedMessage]:
            said: list[LoggedMessage] = []
            for turn in self._turns(conversation):
                said.append(_logged("user", turn.message.content, turn))
                if turn.reply is not None:
                    support = reply_payload(turn.reply)
                    said.append(_logged("assistant", support.pop("reply"), turn, support))
            return said

        async def delete(self, conversation: ConversationKey) -> bool:
            turns = self._turns(conversation)
            await self._house.delete_all(conversation)
            for turn in turns:
                del self._house.records[turn.turn_id]
            return bool(turns)

    class Links:
        """Connectors: one that answers, one that could not be built."""

        def names(self) -> Sequence[str]:
            return ["warehouse", "broken"]

        def get(self, name: str) -> BaseConnector:
            if name != "warehouse":
                raise ConnectorError("the driver is missing", kind="not_found", connector=name)
            return Warehouse("warehouse", None)

        def sql(self) -> dict[str, Any]:
            return {}

        async def statuses(self) -> Sequence[ConnectorStatus]:
            health = await Warehouse("warehouse", None).health()
            down = Health(state=HealthState.DOWN, detail="the driver is missing")
            return [
                ConnectorStatus(name="warehouse", type="sql", health=health),
                ConnectorStatus(name="broken", type="sql", health=down),
            ]


class Warehouse(BaseConnector):
    """A connector that is well."""

    kind = "sql"

    def operations(self) -> Sequence[Operation]:
        return ()

    async def execute(self, operation: str, arguments: object, context: CallContext) -> object:
        raise NotImplementedError(operation, arguments, context)

    async def health(self) -> Health:
        return Health(state=HealthState.OK, detail="3 tables", latency_ms=1.0)


def _logged(
    role: str, content: str, turn: TurnRecord, extra: dict[str, Any] | None = None
) -> LoggedMessage:
    return LoggedMessage(
        role=role, content=content, turn_id=turn.turn_id, at=turn.accepted_at, extra=extra or {}
    )
