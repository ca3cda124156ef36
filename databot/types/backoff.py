"""How long a failed try waits before the next one: longer each time, and by chance.

Chance spreads those that failed together, because what they need was away, over the time of its return.
"""

import random
from collections.abc import Callable

Chance = Callable[[], float]
"""Gives numbers from 0 up to 1: the seam where randomness comes from."""
DOUBLINGS = 30  # far beyond any cap; a larger power would leave the range of a float

some_chance: Chance = random.SystemRandom().random
"""The machine's own."""


def backoff_s(
    tries: int, chance: float, *, base_s: float, cap_s: float, least: float = 0.0
) -> float:
    """Seconds until the next try, after so many failed ones (1, 2, …).

    At most `base_s`, doubled with each try up to `cap_s`, and at least the `least` part of that; `chance`, from 0 to 1,
    says where between them.
    """
    longest = min(cap_s, base_s * 2.0 ** min(max(tries - 1, 0), DOUBLINGS))
    return longest * (least + (1.0 - least) * chance)
