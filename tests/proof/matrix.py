"""The crash matrix of one database: where a run can be broken off, and what came of it each time."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.proof.fleet import Fleet, Story, Told
from tests.proof.verdict import Tally

DRY_RUNS = 3
TRIES = 3
"""What runs beside a turn (a lease renewed, an empty outbox looked into) does not come by in every run."""
SEED = 20261120


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Every point with the story of dying there; `points` are those that came about."""

    stories: Sequence[Told]
    wanted: int

    @property
    def points(self) -> Sequence[Told]:
        return [told for told in self.stories if told.deaths]


def crash_everywhere(fleet: Fleet) -> Matrix:
    """Find the points of the script, and die at each."""
    dry = fleet.tell_all([Story()] * DRY_RUNS)
    names = [reached(told) for told in dry]
    points = [name for name in names[0] if all(name in others for others in names)]
    stories = fleet.each(lambda name: until_dead(fleet, Story(deaths=(name,))), points)
    return Matrix(stories=stories, wanted=len(points))


def crash_twice(fleet: Fleet, matrix: Matrix, most: int | None) -> Sequence[Told]:
    """Die at a point, and again at one of those the next run came by: at `most` so many pairs, or all."""
    pairs = [(*told.story.deaths, second) for told in matrix.points for second in reached(told)]
    if most is not None:
        pairs = random.Random(SEED).sample(pairs, most)
    return fleet.each(lambda pair: until_dead(fleet, Story(deaths=pair)), pairs)


def until_dead(fleet: Fleet, story: Story) -> Told:
    """Play it until every death has come about, a few times at most."""
    told = fleet.tell(story)
    for _ in range(TRIES - 1):
        if told.deaths == len(story.deaths) or told.report is None:
            break
        told = fleet.tell(story)
    return told


def tally_of(stories: Sequence[Told]) -> Tally:
    tally = Tally()
    for told in stories:
        tally.add(str(told.story), told)
    return tally


def reached(told: Told) -> Sequence[str]:
    """The points the last run came by; none when it did not end."""
    return told.report["reached"] if told.report else ()
