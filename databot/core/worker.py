"""The worker: claims a conversation, has its earliest turn answered, and lets go of it again.

It is what the lanes run. It knows which turns run here: they can be stopped, their leases are kept alive, and one
whose claim was lost is broken off without a word, because it goes on elsewhere.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from databot.core.backlog import Backlog
from databot.core.pipeline import Outcome, TurnPipeline
from databot.storage.base import Claim, Claims, Renewal
from databot.types.clock import Clock
from databot.types.errors import StorageError, describe
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)
RELEASE_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0


@dataclass(slots=True)
class Working:
    """A turn that runs here. `broken` when its task is cancelled because the claim was lost."""

    claim: Claim
    task: "asyncio.Task[object]"
    broken: bool = False


class TurnWorker:
    """Works on conversations, one turn a call.

    `on_elsewhere` is told of one that another worker has, `on_stuck` of one that the store lets nobody have now.
    `lost` counts the claims that others took from this worker, `resumed` the turns it took up that a worker had begun
    and neither ended nor given back.
    """

    def __init__(
        self, claims: Claims, pipeline: TurnPipeline, backlog: Backlog, clock: Clock
    ) -> None:
        self._claims = claims
        self._pipeline = pipeline
        self._backlog = backlog
        self._clock = clock
        self.on_stuck: Callable[[ConversationKey, StorageError], None] = lambda *_: None
        self.on_elsewhere: Callable[[ConversationKey], None] = lambda _: None
        self._working: dict[str, Working] = {}
        self._postponed: dict[ConversationKey, tuple[float, float]] = {}
        self._suspect: str | None = None
        self.lost = 0
        self.resumed = 0

    @property
    def turns(self) -> int:
        """Turns that run now."""
        return len(self._working)

    async def work(self, conversation: ConversationKey, found: bool) -> bool:
        """Answer the conversation's earliest turn, if it is ours to answer; says whether another one waits."""
        if self._is_postponed(conversation):
            return False  # the sweeper comes by again
        try:
            claim = await self._claims.claim(conversation, certain=found)
        except StorageError as error:
            self._postpone(conversation)
            log.warning("a turn waits, the store cannot be written: %s", describe(error))
            self.on_stuck(conversation, error)
            return False
        if claim is None:
            self._postponed.pop(conversation, None)
            self.on_elsewhere(conversation)
            return False
        if self._pipeline.is_last_attempt(claim):
            # Something ends every worker: each suspect is tried alone, so that none is given up for what another did.
            if self._suspect is not None:
                await self._release(claim)
                return False  # the sweeper comes by again
            self._suspect = claim.turn_id
        if claim.attempt > 1:
            self.resumed += 1
            log.warning("turn %s is taken up again, attempt %d", claim.turn_id, claim.attempt)
        # One that was found may have been begun by a worker that died before its claim was on the disk.
        return await self._answer(replace(claim, resumed=claim.resumed or found))

    def runs(self, turn_id: str) -> bool:
        """Whether the turn runs here."""
        return turn_id in self._working

    def stop(self, turn_id: str) -> bool:
        """Stop a turn because a person wants it; `False` when it does not run here, or is just ending."""
        working = self._working.get(turn_id)
        if working is None or not self._pipeline.mark_cancelled(turn_id):
            return False
        working.task.cancel()
        return True

    async def keep_leases(self, every_s: float) -> None:
        """Renew the leases of the turns that run here, for ever."""
        while True:
            await self._clock.sleep(every_s)
            working = list(self._working.values())
            try:
                async with asyncio.timeout(
                    every_s
                ):  # one that is stuck does not keep the others from the next round
                    renewals = await self._claims.renew([item.claim for item in working])
            except StorageError as error:
                log.warning("leases could not be renewed: %s", describe(error))
                continue
            except TimeoutError:
                log.warning("some leases could not be renewed within %.1f s", every_s)
                continue
            for item, renewal in zip(working, renewals, strict=True):
                self._renewed(item, renewal)

    def _renewed(self, working: Working, renewal: Renewal) -> None:
        if self._working.get(working.claim.turn_id) is not working:
            return  # it has ended meanwhile
        if renewal.lost and not self._pipeline.is_ending(working.claim.turn_id):
            working.broken = True
            working.task.cancel()
        elif renewal.stop_asked:
            self.stop(working.claim.turn_id)

    async def _answer(self, claim: Claim) -> bool:
        task = asyncio.current_task()
        assert task is not None
        working = self._working[claim.turn_id] = Working(claim, task)
        try:
            with self._backlog.holding(claim.record.message):
                outcome = await self._pipeline.run(claim)
        except asyncio.CancelledError:
            if not working.broken:
                await self._release(claim)
                raise
            task.uncancel()  # that was about this turn, and not about the task
            outcome = Outcome(lost=True)
        finally:
            del self._working[claim.turn_id]
            if self._suspect == claim.turn_id:
                self._suspect = None
        if outcome.lost:
            await self._forget_lost(claim)
        elif outcome.open:
            self._postpone(claim.record.conversation)
            await self._release(claim)
        elif outcome.settled:
            self._postponed.pop(claim.record.conversation, None)
            self._backlog.ended(claim.record.conversation.tenant_id)
        else:  # it waits for a person, and takes nobody's place meanwhile
            self._backlog.ended(claim.record.conversation.tenant_id)
        return outcome.more

    def _postpone(self, conversation: ConversationKey) -> None:
        """A store that fails a turn half-way would fail it again, and each time the model would be paid."""
        _, pause = self._postponed.get(conversation, (0.0, FIRST_PAUSE_S / 2))
        pause = min(pause * 2, LONGEST_PAUSE_S)
        self._postponed[conversation] = self._clock.monotonic() + pause, pause

    def _is_postponed(self, conversation: ConversationKey) -> bool:
        until, _ = self._postponed.get(conversation, (0.0, 0.0))
        return self._clock.monotonic() < until

    async def _forget_lost(self, claim: Claim) -> None:
        self.lost += 1
        log.info("turn %s goes on at another worker", claim.turn_id)
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._claims.outlived(claim)
        except (StorageError, TimeoutError):
            log.info("an attempt at turn %s counts, although its worker lives", claim.turn_id)
        self.on_elsewhere(claim.record.conversation)

    async def _release(self, claim: Claim) -> None:
        """The daemon stops: another may go on at once."""
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._claims.release(claim)
        except (StorageError, TimeoutError) as error:
            log.warning("turn %s waits until its lease is over: %s", claim.turn_id, error)
