"""A token bucket for every caller, in bounded memory.

A bucket refills evenly; one that has been full for a while says nothing and is dropped, the least recently used first.
"""

from collections import OrderedDict

from databot.gateway.options import RateLimitOptions
from databot.types.clock import Clock

MAX_CALLERS = 20_000


class RateLimiter:
    """Says how long a caller must wait; 0 means go on."""

    def __init__(
        self, options: RateLimitOptions, clock: Clock, *, max_callers: int = MAX_CALLERS
    ) -> None:
        self._burst = float(options.requests)
        self._per_s = options.requests / options.per_s
        self._clock = clock
        self._max = max_callers
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: str) -> float:
        """Take one token; returns 0, or the seconds until there is one."""
        now = self._clock.monotonic()
        tokens, since = self._buckets.get(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_s)
        allowed = tokens >= 1.0
        self._buckets[caller] = (tokens - 1.0 if allowed else tokens, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / self._per_s
