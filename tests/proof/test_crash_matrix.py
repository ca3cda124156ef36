"""`kill -9` at every point of a conversation: before and after each call that writes, within it, around each effect.

The script (`script`) has two questions in one conversation, every kind of tool, an approval and two replies through the
outbox. It is played from an empty database for each point: killed there, started again, and judged by what the world
saw and by what the store holds. With `DATABOT_PROOF=full` every pair of crashes is tried too, which takes hours.
"""

import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.proof.fleet import Fleet, fleet_on
from tests.proof.matrix import Matrix, crash_everywhere, crash_twice, tally_of
from tests.storage.places import DATABASES

LEAST_POINTS = 150
PAIRS = {"sqlite": 100, "postgres": 30}
FULL = os.environ.get("DATABOT_PROOF") == "full"
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
ENOUGH_S = 24 * 3600 if FULL else 600
MEMORY = Path("/dev/shm")
"""A process that is killed leaves its files as it wrote them; only a power cut asks for a real disk."""

pytestmark = pytest.mark.timeout(ENOUGH_S)
Proven = Callable[[str], None]


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def fleet(database: str, request: pytest.FixtureRequest) -> Generator[Fleet]:
    server = None if database == "sqlite" else request.getfixturevalue("postgres_url")
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="databot-proof-", dir=place) as folder,
        fleet_on(database, server, Path(folder)) as opened,
    ):
        yield opened


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
