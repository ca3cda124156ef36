"""Accepted messages and what became of them, in the tables `conversation` and `inbox`."""

from collections.abc import Mapping, Sequence

from databot.storage.base import Accepted, TurnRecord
from databot.storage.codec import (
    dumps,
    encode_attachments,
    encode_message,
    encode_question,
    key_params,
    to_micros,
)
from databot.storage.database import Database, Params, Row, single
from databot.storage.inbox_statements import (
    DEAD,
    DEAD_OF_TENANT,
    FIRST_TURN,
    KEEP,
    LOCK,
    MAKE_CONVERSATION,
    ONE,
    OPEN_BY_TENANT,
    OPEN_IN_ONE,
    REPLAY,
    STOP_ASKING,
    STOP_IDLE,
    STOP_RUNNING,
    STOPPED,
    STOPPED_QUESTION,
    STOPPED_REPLY,
)
from databot.storage.names import clean_label, is_key, is_name, require_key, require_name
from databot.storage.outbox import reply_params
from databot.storage.tables import inbox
from databot.storage.turns import Begun
from databot.types.clock import Clock
from databot.types.errors import Busy, StorageError
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage

TITLE_LENGTH = 80
KNOWN_CONVERSATIONS = 8_192
"""How many conversations are remembered as made: some 3 MB at most."""


class SqlInbox:
    """The inbox, in a database."""

    def __init__(
        self, database: Database, clock: Clock, begun: Begun, versions: Mapping[str, str]
    ) -> None:
        self._database = database
        self._clock = clock
        self._begun = begun
        self._versions = versions
        self._known: set[tuple[str, str, str]] = set()
        prepare = database.prepare
        self._make = prepare(MAKE_CONVERSATION)
        self._keep = database.prepare_insert(KEEP, inbox.c.seq)
        self._first_turn = prepare(FIRST_TURN)
        self._one, self._open_in_one = prepare(ONE), prepare(OPEN_IN_ONE)
        self._open_by_tenant = prepare(OPEN_BY_TENANT)
        self._dead, self._dead_of_tenant = prepare(DEAD), prepare(DEAD_OF_TENANT)
        stop = (LOCK, STOPPED_QUESTION, STOP_IDLE, STOP_RUNNING, STOP_ASKING)
        self._stop = [prepare(statement) for statement in stop]
        self._stopped_reply = prepare(STOPPED_REPLY)
        self._lock, self._replay = prepare(LOCK), prepare(REPLAY)

    async def ingest(
        self, turn_id: str, message: InboundMessage, *, most_waiting: int = 2**31
    ) -> Accepted:
        key = (message.tenant_id, message.bot_id, message.session_id)
        params = {**self._turn_params(turn_id, message), "most_waiting": most_waiting}
        kept: Sequence[Row] = ()
        if key in self._known:
            # Almost every message continues a conversation: one row, one statement. That this process has seen the
            # conversation is a hint; when it was deleted meanwhile, nothing is written here and it is made anew below.
            (kept,) = await self._database.write(((self._keep, params),))
        if not kept:
            kept = await self._keep_in_made(message, params)
            self._remember(key)
        if kept:
            return Accepted(turn_id=turn_id, seq=kept[0][0], duplicate=False)
        first = await self._first(params)
        if first is None:
            raise await self._not_kept(message.conversation, most_waiting)
        return first

    async def _keep_in_made(self, message: InboundMessage, params: Params) -> Sequence[Row]:
        """Keep the message and make its conversation, if there is none."""
        require_key(message.conversation)
        params = {**params, "title": clean_label(message.content, TITLE_LENGTH)}
        _, kept = await self._database.write(((self._make, params), (self._keep, params)))
        return kept

    async def _first(self, params: Params) -> Accepted | None:
        """The turn that a message had become before."""
        first = await self._database.read(self._first_turn, params, single)
        return None if first is None else Accepted(turn_id=first[0], seq=first[1], duplicate=True)

    async def _not_kept(self, conversation: ConversationKey, most_waiting: int) -> Exception:
        """Why a new message was not kept."""
        if len(await self.open_turns(conversation)) >= most_waiting:
            return Busy("too many messages of this conversation are waiting for their answers")
        return StorageError(
            "a message was neither kept nor known; it may have been deleted meanwhile"
        )

    def _remember(self, key: tuple[str, str, str]) -> None:
        if len(self._known) >= KNOWN_CONVERSATIONS:
            self._known.clear()
        self._known.add(key)

    def _turn_params(self, turn_id: str, message: InboundMessage) -> Params:
        require_name("turn id", turn_id)
        require_name("channel", message.channel)
        require_name("message id", message.message_id or "")
        return {
            "turn_id": turn_id,
            "tenant_id": message.tenant_id,
            "bot_id": message.bot_id,
            "session_id": message.session_id,
            "channel": message.channel,
            "external_id": message.message_id or None,
            "now": to_micros(self._clock.now()),
            "question": encode_question(message.content),
            "body": encode_message(message, self._versions),
            "attachments": encode_attachments(message.attachments),
        }

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        if not (is_name(tenant_id) and is_name(turn_id)):
            return None
        params = {"tenant_id": tenant_id, "turn_id": turn_id}
        records = await self._database.read(self._one, params, self._begun.records)
        return records[0] if records else None

    async def open_turns(self, conversation: ConversationKey) -> Sequence[str]:
        if not is_key(conversation):
            return ()
        return await self._database.read(
            self._open_in_one, key_params(conversation), lambda rows: [row[0] for row in rows]
        )

    async def open_by_tenant(self) -> Mapping[str, int]:
        return await self._database.read(self._open_by_tenant, {}, counts)

    async def stop(
        self,
        tenant_id: str,
        turn_id: str,
        error: Mapping[str, str],
        *,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        if not (is_name(tenant_id) and is_name(turn_id)):
            return False
        now = to_micros(self._clock.now())
        params: dict[str, object] = {"tenant_id": tenant_id, "turn_id": turn_id, "now": now}
        params["end_error"] = dumps(dict(error))
        unit = [(query, params) for query in self._stop]
        if deliver is not None:
            reply = reply_params(deliver, STOPPED, now)
            unit.insert(1, (self._stopped_reply, {**reply, **params}))
        results = await self._database.write(unit)
        return bool(results[-3])

    async def dead(self, tenant_id: str | None = None, *, limit: int = 100) -> Sequence[TurnRecord]:
        params: dict[str, object] = {"count": limit}
        if tenant_id is None:
            return await self._database.read(self._dead, params, self._begun.records)
        if not is_name(tenant_id):
            return ()
        params["tenant_id"] = tenant_id
        return await self._database.read(self._dead_of_tenant, params, self._begun.records)

    async def replay(self, tenant_id: str, turn_id: str) -> ConversationKey | None:
        record = await self.turn(tenant_id, turn_id)
        if record is None:
            return None
        params = {"tenant_id": tenant_id, "turn_id": turn_id}
        _, replayed = await self._database.write([(self._lock, params), (self._replay, params)])
        return record.conversation if replayed else None


def counts(rows: Sequence[Row]) -> dict[str, int]:
    return {row[0]: row[1] for row in rows}
