"""Whether the engine is away: said once when it begins, once when it is over, and counted."""

import logging
from collections.abc import Awaitable, Callable

from databot.dispatch.procrastinate.errors import OUTAGE, line
from databot.types.clock import Clock, Ids

log = logging.getLogger(__name__)
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 15.0
STEADY_S = 10.0


class Outages:
    """What the parts of dispatch, each with its own connection, find out about the server."""

    def __init__(self, where: object) -> None:
        self.count = 0
        self._where = where
        self._failing: set[str] = set()

    def began(self, part: str, error: BaseException) -> None:
        if not self._failing:
            self.count += 1
            log.warning(
                "dispatch: %s; work is found by the sweeper until it is back",
                line(error, self._where),
            )
        self._failing.add(part)

    def over(self, part: str) -> None:
        if part in self._failing:
            self._failing.discard(part)
            if not self._failing:
                log.info("dispatch: PostgreSQL %s is back", self._where)

    @property
    def now(self) -> bool:
        return bool(self._failing)


async def keep_on(
    part: str, work: Callable[[], Awaitable[None]], outages: Outages, clock: Clock, ids: Ids
) -> None:
    """Do a part's work for ever: begin anew whatever ended it, after a pause that grows, with jitter."""
    wait = FIRST_WAIT_S
    while True:
        begun = clock.monotonic()
        try:
            await work()
        except Exception as error:  # boundary: a part of dispatch, which never ends
            if not isinstance(error, OUTAGE):
                log.exception("dispatch: %s failed", part)
            outages.began(part, error)
        if clock.monotonic() - begun > STEADY_S:
            wait = FIRST_WAIT_S
        await clock.sleep(wait * (0.5 + chance(ids) / 2))
        wait = min(wait * 2, LONGEST_WAIT_S)


def chance(ids: Ids) -> float:
    """A number from 0 to 1, out of the random end of an id."""
    digits = ids.new("wait").rpartition("_")[2][-4:]
    try:
        return int(digits, 16) / 0xFFFF
    except ValueError:  # ids of a test, which are not random
        return 0.5
