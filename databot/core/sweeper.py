"""The sweeper: finds conversations that have work and nobody at it.

A signal may be lost, a worker may die. Each second the sweeper asks the store which turns have waited for a moment
without a living worker, and signals their conversations here: whoever claims first has them. This alone makes every
other way of waking a worker a mere short cut. It also takes over how many turns are open, which other replicas change.
"""

import logging
from collections.abc import Callable

from databot.core.backlog import Backlog
from databot.core.dispatcher import Dispatcher
from databot.storage.base import Claims, Inbox
from databot.types.clock import Clock
from databot.types.errors import StorageError, describe
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)
EVERY_S = 1.0
OLD_S = 2.0
"""A turn that waits for less than this is left to the signal that is on its way."""

Wanted = Callable[[ConversationKey], bool]


def everything(conversation: ConversationKey) -> bool:
    """Whatever is stranded is taken up."""
    del conversation
    return True


class Sweeper:
    """Looks for stranded conversations; `found` counts those it signalled."""

    def __init__(
        self, inbox: Inbox, claims: Claims, dispatcher: Dispatcher, backlog: Backlog, clock: Clock
    ) -> None:
        self._inbox = inbox
        self._claims = claims
        self._dispatcher = dispatcher
        self._backlog = backlog
        self._clock = clock
        self._failing = False
        self.found = 0

    async def run(self, wanted: Wanted = everything) -> None:
        """Sweep for ever, for conversations that are `wanted` here."""
        while True:
            await self._clock.sleep(EVERY_S)
            await self.sweep(OLD_S, wanted)

    async def sweep(self, older_than_s: float, wanted: Wanted = everything) -> None:
        """Signal what is stranded. A store that does not answer is said once, and asked again next time."""
        try:
            stranded = await self._claims.stranded(older_than_s)
            self._backlog.recount(await self._inbox.open_by_tenant())
        except StorageError as error:
            if not self._failing:
                log.warning("stranded turns cannot be looked for: %s", describe(error))
            self._failing = True
            return
        self._failing = False
        for conversation in stranded:
            if wanted(conversation) and not self._dispatcher.has(conversation):
                self.found += 1
                self._dispatcher.signal(conversation, found=True)
