"""The token bucket: an even refill, a burst, and bounded memory."""

from datetime import UTC, datetime

from databot.gateway.options import RateLimitOptions
from databot.gateway.ratelimit import RateLimiter


class Hands:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_a_burst_is_allowed_and_then_one_by_one() -> None:
    clock = Hands()
    limiter = RateLimiter(RateLimitOptions(requests=3, per_s=6), clock)
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 0]
    assert limiter.take("a") == 2.0
    clock.at = 1.0
    assert limiter.take("a") == 1.0
    clock.at = 2.0
    assert limiter.take("a") == 0
    assert limiter.take("a") == 2.0


def test_a_long_rest_gives_back_no_more_than_the_burst() -> None:
    clock = Hands()
    limiter = RateLimiter(RateLimitOptions(requests=2, per_s=2), clock)
    limiter.take("a")
    clock.at = 1_000.0
    assert [limiter.take("a") > 0 for _ in range(3)] == [False, False, True]


def test_callers_do_not_share() -> None:
    limiter = RateLimiter(RateLimitOptions(requests=1, per_s=60), Hands())
    assert limiter.take("a") == 0
    assert limiter.take("b") == 0
    assert limiter.take("a") > 0


def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    limiter = RateLimiter(RateLimitOptions(requests=1, per_s=60), Hands(), max_callers=3)
    limiter.take("kept")
    for n in range(100):
        limiter.take(f"stranger-{n}")
        assert limiter.take("kept") > 0
    assert len(limiter) == 3
