"""How long a failed attempt waits before the next one: longer each time, and by chance.

Chance spreads jobs that failed together, because what they need was away, over the time of its return.
"""

from collections.abc import Callable

BASE_S = 5.0
CAP_S = 600.0
DOUBLINGS = 30  # far beyond the cap; a larger power would leave the range of a float


def backoff_s(
    attempt: int, chance: Callable[[], float], *, base_s: float = BASE_S, cap_s: float = CAP_S
) -> float:
    """Seconds until the attempt after `attempt` (1, 2, …): between 0 and `base_s` doubled each time, at most `cap_s`.

    `chance` gives numbers from 0 up to 1.
    """
    doubled = base_s * 2.0 ** min(max(attempt - 1, 0), DOUBLINGS)
    return chance() * min(cap_s, doubled)
