"""Whether the engine is away: said once when it begins, once when it is over, and counted."""

import logging
from collections.abc import Awaitable, Callable

from databot.dispatch.procrastinate.errors import OUTAGE, line
from databot.types.backoff import backoff_s, some_chance
from databot.types.clock import Clock

log = logging.getLogger(__name__)
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
STEADY_S = 10.0
"""A part that ran for so long begins with the shortest wait again."""
QUIET_S = 5.0


class Outages:
    """What the parts of dispatch, each with its own connection, find out about the server, each in its own time.

    So it counts as back only when none of them has failed for a while.
    """

    def __init__(self, where: object, clock: Clock) -> None:
        self.count = 0
        self._where = where
        self._clock = clock
        self._failing: set[str] = set()
        self._told = False
        self._well_since = 0.0

    def began(self, part: str, error: BaseException) -> None:
        self._failing.add(part)
        if not self._told:
            self._told = True
            self.count += 1
            log.warning(
                "dispatch: %s; work is found by the sweeper until it is back",
                line(error, self._where),
            )

    def over(self, part: str) -> None:
        if part in self._failing:
            self._failing.discard(part)
            self._well_since = self._clock.monotonic()

    def settle(self) -> None:
        """Say that it is back, if it is. To be called from time to time."""
        well = self._clock.monotonic() - self._well_since
        if self._told and not self._failing and well >= QUIET_S:
            self._told = False
            log.info("dispatch: PostgreSQL %s is back", self._where)

    @property
    def now(self) -> bool:
        return bool(self._failing)


async def keep_on(
    part: str, work: Callable[[], Awaitable[None]], outages: Outages, clock: Clock
) -> None:
    """Do a part's work for ever: begin anew whatever ended it, after a pause that grows, with jitter."""
    tries = 0
    while True:
        begun = clock.monotonic()
        try:
            await work()
        except OUTAGE as error:
            outages.began(part, error)
        except Exception:  # boundary: a part of dispatch, which never ends
            log.exception("dispatch: %s failed", part)
        tries = 1 if clock.monotonic() - begun > STEADY_S else tries + 1
        pause = backoff_s(
            tries, some_chance(), base_s=FIRST_WAIT_S, cap_s=LONGEST_WAIT_S, least=0.5
        )
        await clock.sleep(pause)
