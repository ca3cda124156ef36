"""`kill -9` at every point of a conversation: before and after each call that writes, within it, around each effect.

The script (`script`) has two questions in one conversation, every kind of tool, an approval and two replies through the
outbox. It is played from an empty database for each point: killed there, started again, and judged by what the world
saw and by what the store holds. With `DATABOT_PROOF=full` every pair of crashes is tried too, which takes hours.
"""

from collections.abc import Callable

import pytest

from tests.proof.conftest import ENOUGH_S, FULL, NAMES
from tests.proof.fleet import Fleet
from tests.proof.matrix import Matrix, crash_everywhere, crash_twice, tally_of

LEAST_POINTS = 150
PAIRS = {"sqlite": 100, "postgres": 30}

pytestmark = pytest.mark.timeout(ENOUGH_S)
Proven = Callable[[str], None]


@pytest.fixture(scope="module")
def matrix(fleet: Fleet) -> Matrix:
    return crash_everywhere(fleet)


def test_wherever_the_process_is_killed_nothing_is_lost_and_nothing_done_twice(
    matrix: Matrix, database: str, proven: Proven
) -> None:
    tally = tally_of(matrix.stories)
    proven(f"{NAMES[database]}: {len(matrix.points)} crash points, {tally}")
    assert tally.wrong == []
    assert len(matrix.points) >= LEAST_POINTS
    assert len(matrix.points) >= 0.95 * matrix.wanted


def test_the_same_holds_when_the_next_process_is_killed_too(
    fleet: Fleet, matrix: Matrix, database: str, proven: Proven
) -> None:
    stories = crash_twice(fleet, matrix, None if FULL else PAIRS[database])
    pairs = [told for told in stories if told.deaths == 2]
    tally = tally_of(stories)
    proven(f"{NAMES[database]}: {len(pairs)} pairs of crashes, {tally}")
    assert tally.wrong == []
    assert len(pairs) >= 0.9 * len(stories)
