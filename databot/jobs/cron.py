"""Cron expressions: five fields, read in a time zone, as Debian's cron reads them.

Where the clocks are set forward, what was due in the hour that is left out is due at its end; where they are set back, a
fixed time is due once, although it comes twice. Work of every hour or every few minutes goes by real time throughout.
Not here: who fires what (`schedules`).
"""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from databot.types.errors import ConfigError

FIELDS = 5
TRIED_FROM = datetime(2000, 1, 1, tzinfo=UTC)
MARGIN = timedelta(hours=3)
"""More than clocks are ever set by: a look back starts so much earlier, and comes forward again."""


class CronTime:
    """An expression in its time zone.

    Raises:
        ConfigError: it is no such expression, never comes, or the time zone is not known.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        self._expression = expression
        self._zone = zone_of(timezone)
        if len(expression.split()) != FIELDS:
            raise refusal(expression)
        self.after(TRIED_FROM)

    def after(self, moment: datetime) -> datetime:
        """The first time later than `moment`, in UTC."""
        times = self._times(moment, reverse=False)
        # In the second pass of an hour that comes twice, a fixed time of the first pass is found again.
        while (found := self._next(times)) <= moment:
            continue
        return found

    def latest(self, moment: datetime) -> datetime:
        """The last time not later than `moment`, in UTC."""
        found = self._next(self._times(moment - MARGIN, reverse=True))
        while (following := self.after(found)) <= moment:
            found = following
        return found

    def _times(self, moment: datetime, *, reverse: bool) -> CronSim:
        try:
            return CronSim(self._expression, moment.astimezone(self._zone), reverse=reverse)
        except CronSimError as error:
            raise refusal(self._expression) from error

    def _next(self, times: CronSim) -> datetime:
        found = next(times, None)
        if found is None:
            raise refusal(self._expression)
        return found.astimezone(UTC)


def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name; raises `ConfigError`."""
    if name == "UTC":  # also where the machine has no time zone data
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name!r} is not the name of a time zone", hint="use one like Europe/Berlin or UTC"
        ) from error


def refusal(expression: str) -> ConfigError:
    return ConfigError(
        f"{expression!r} is not a time that comes",
        hint="write minute, hour, day of month, month and day of week, such as 30 7 * * MON-FRI",
    )
