"""Who works on which conversation, in the tables `conversation` (lease and fence) and `inbox` (the turn)."""

from collections.abc import Mapping, Sequence

from databot.storage.approvals import approval_params
from databot.storage.base import (
    OPEN_STATES,
    ApprovalRequest,
    Claim,
    Renewal,
    Step,
    TurnRecord,
    TurnState,
    Worker,
)
from databot.storage.claim_statements import (
    ASK,
    BEGIN,
    END,
    ENDED,
    GIVE_BACK,
    HOLD,
    LEAVE,
    LEFT,
    LET_GO,
    MORE,
    OUTLIVED,
    RENEW,
    STRANDED,
    TAKE,
)
from databot.storage.codec import decode_message, dumps, from_micros, key_params, loads, to_micros
from databot.storage.database import Action, Database, Params, Query, Row, single
from databot.storage.journal import (
    HELD,
    LAST_STEP,
    QUESTION,
    require_held,
    step_params,
)
from databot.storage.leases import NOW_NAME, TTL, WORKER
from databot.storage.names import is_key
from databot.storage.outbox import ENQUEUE, enqueue_params
from databot.storage.replies import encode_reply
from databot.storage.turns import Begun
from databot.types.clock import Clock
from databot.types.messages import ConversationKey, OutboundMessage


class SqlClaims:
    """The claims, in a database."""

    def __init__(self, database: Database, clock: Clock, worker: Worker, begun: Begun) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._begun = begun
        prepare = database.prepare
        self._take, self._begin, self._stay_away = prepare(TAKE), prepare(BEGIN), prepare(LEAVE)
        self._let_go, self._end, self._more = prepare(LET_GO), prepare(END), prepare(MORE)
        self._question, self._last_step = prepare(QUESTION), prepare(LAST_STEP)
        self._hold, self._ask, self._give_back = prepare(HOLD), prepare(ASK), prepare(GIVE_BACK)
        self._ended, self._left, self._held = prepare(ENDED), prepare(LEFT), prepare(HELD)
        self._enqueue, self._outlived = prepare(ENQUEUE), prepare(OUTLIVED)
        self._renew, self._stranded = database.prepare_each(RENEW), prepare(STRANDED)

    async def claim(self, conversation: ConversationKey, *, certain: bool = True) -> Claim | None:
        if not is_key(conversation):
            return None
        params = {**key_params(conversation), **self._lease(), "now": self._now()}
        unit = ((self._take, params), (self._begin, params))
        taken, begun = await self._database.write(unit, durable=certain)
        if taken and not begun:
            await self._database.write([(self._stay_away, {**params, "fence": taken[0][0]})])
        if not begun:
            return None
        claim = claim_of(conversation, taken[0][0], begun[0])
        self._begun.add(claim.turn_id)
        return claim

    async def settle(
        self,
        claim: Claim,
        state: TurnState,
        *,
        steps: Sequence[Step] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        if state in OPEN_STATES:
            raise ValueError(f"{state!r} does not end a turn")
        now = self._now()
        end = {
            "turn_id": claim.turn_id,
            "fence": claim.fence,
            "now": now,
            "end_state": state,
            "end_reply": encode_reply(reply) if reply else None,
            "end_error": dumps(dict(error)) if error else None,
        }
        before = [(self._question, end)]
        before += [(self._last_step, step_params(claim, step, now)) for step in steps]
        if deliver is not None:
            before.append(
                (self._enqueue, enqueue_params(deliver, claim.fence, now, part=claim.fence))
            )
        return await self._leave(claim, end, [*before, (self._end, end)], self._ended)

    async def hold(self, claim: Claim, approvals: Sequence[ApprovalRequest]) -> bool:
        params = {"turn_id": claim.turn_id, "fence": claim.fence, "now": self._now()}
        asked = [(self._ask, {**params, **approval_params(item)}) for item in approvals]
        return await self._leave(claim, params, [*asked, (self._hold, params)], self._left)

    async def _leave(
        self, claim: Claim, params: Params, writes: Sequence[Action], done: Query
    ) -> bool:
        """Write, let go of the conversation, and say whether another turn of it waits.

        When the last write changes nothing, this claim did so before, which `done` finds, or it was lost.
        """
        unit = [(self._let_go, params), *writes, (self._more, params)]
        results = await self._database.write(unit)
        self._begun.discard(claim.turn_id)
        if not results[-2] and not await self._database.read(done, params, single):
            require_held(await self._database.read(self._held, params, single), claim.turn_id)
        return bool(results[-1])

    async def release(self, claim: Claim) -> None:
        params = {"turn_id": claim.turn_id, "fence": claim.fence, "now": self._now()}
        await self._database.write([(self._let_go, params), (self._give_back, params)])
        self._begun.discard(claim.turn_id)

    async def outlived(self, claim: Claim) -> None:
        await self._database.write([(self._outlived, {"turn_id": claim.turn_id})])
        self._begun.discard(claim.turn_id)

    async def renew(self, claims: Sequence[Claim]) -> Sequence[Renewal]:
        lease = self._lease()
        held = [{**lease, "turn_id": claim.turn_id, "fence": claim.fence} for claim in claims]
        results = await self._database.write_each(self._renew, held)
        for claim, rows in zip(claims, results, strict=True):
            if not rows:
                self._begun.discard(claim.turn_id)
        return [Renewal(lost=not rows, stop_asked=bool(rows and rows[0][0])) for rows in results]

    async def stranded(
        self, older_than_s: float, *, limit: int = 1_000
    ) -> Sequence[ConversationKey]:
        before = self._now() - int(older_than_s * 1_000_000)
        params = {**self._lease(), "before": before, "count": limit}
        return await self._database.read(self._stranded, params, keys_of)

    def _lease(self) -> dict[str, object]:
        return {
            WORKER: self._worker.name,
            TTL: int(self._worker.ttl_s * 1_000_000),
            NOW_NAME: int(self._clock.monotonic() * 1_000_000),
        }

    def _now(self) -> int:
        return to_micros(self._clock.now())


def claim_of(key: ConversationKey, fence: int, row: Row) -> Claim:
    turn_id, seq, attempts, claims, stop_asked, accepted_at, question, body, attachments = row
    data = loads(body)
    record = TurnRecord(
        turn_id=turn_id,
        conversation=key,
        seq=seq,
        message=decode_message(question, data, attachments),
        state="running",
        accepted_at=from_micros(accepted_at),
        versions=data.get("versions", {}),
    )
    return Claim(
        record=record,
        fence=fence,
        attempt=attempts,
        resumed=claims > 1,
        stop_asked=bool(stop_asked),
    )


def keys_of(rows: Sequence[Row]) -> list[ConversationKey]:
    return [ConversationKey(tenant_id=row[0], bot_id=row[1], session_id=row[2]) for row in rows]
