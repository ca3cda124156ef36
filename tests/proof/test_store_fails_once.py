"""Every statement of a conversation fails once: locked, disk full, I/O error, connection reset.

The same script as the crash matrix's, in one process that lives: it tries again, postpones or refuses, and the two
questions are answered once all the same. On PostgreSQL each statement fails in one of the ways, the next one in the
next; with `DATABOT_PROOF=full` each in all of them.
"""

from collections.abc import Callable, Sequence

import pytest

from tests.proof.conftest import ENOUGH_S, FULL, NAMES
from tests.proof.faults import POSTGRES, SQLITE
from tests.proof.fleet import Fleet, Story
from tests.proof.matrix import DRY_RUNS, tally_of

SPEED = 20
LEAST_STATEMENTS = 100

pytestmark = pytest.mark.timeout(ENOUGH_S)


def stories_of(statements: int, faults: Sequence[str], *, all_ways: bool) -> list[Story]:
    """The `at`-th statement fails, for all of them."""
    return [
        Story(fail_at=at, fault=fault, speed=SPEED)
        for at in range(1, statements + 1)
        for fault in (faults if all_ways else [faults[at % len(faults)]])
    ]


def test_whichever_statement_fails_both_questions_are_answered_once(
    fleet: Fleet, database: str, proven: Callable[[str], None]
) -> None:
    faults = [*(SQLITE if database == "sqlite" else POSTGRES)]
    dry = fleet.tell_all([Story(speed=SPEED)] * DRY_RUNS)
    statements = min(told.report["statements"] for told in dry if told.report)
    stories = stories_of(statements, faults, all_ways=FULL or database == "sqlite")
    ended = fleet.tell_all(stories)
    tally = tally_of(ended)
    failed = sum(told.has_failed for told in ended)
    refused = sum(line.kind == "refused" for told in ended for line in told.lines)
    proven(
        f"{NAMES[database]}: {failed} failing statements ({', '.join(faults)}), {tally}, "
        f"{refused} messages refused, delivered again and kept once"
    )
    assert tally.wrong == []
    assert statements >= LEAST_STATEMENTS
    # How many statements there are depends on what is committed together and on what happens beside: a story whose
    # statement came by must have met its fault, and of the others there may not be many.
    came_by = [
        told
        for story, told in zip(stories, ended, strict=True)
        if told.report and told.report["statements"] >= story.fail_at
    ]
    assert all(told.has_failed for told in came_by)
    assert failed >= 0.75 * len(stories)
