"""The same on every engine: what is imported as text or kept as seconds, days of the week, and totals of rows below."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.world import Source, Talk
from tests.providers.offline.worlds import World

IMPORTED = [
    ("North", "10.50", "2024-01-05T10:00:00Z"),
    ("South", "-2.25", "2024-02-06T11:00:00Z"),
    ("North", "", "2024-02-07T11:30:00Z"),
    ("South", "4", "2024-03-07T12:30:00Z"),
]
START = datetime(2024, 3, 4, 7, tzinfo=UTC)
TICKS = [(n, n, int((START + timedelta(days=n * 9, hours=n)).timestamp())) for n in range(1, 9)]


@pytest.fixture
def engine(clinic_world: World) -> Iterator[Source]:
    """The hospital's engine with two more tables: a file's import, and times as seconds since 1970."""
    execute = clinic_world.source.execute
    execute("CREATE TABLE imported (region VARCHAR(20), amount VARCHAR(20), seen VARCHAR(30))")
    execute("CREATE TABLE ticks (id INTEGER, n INTEGER, ordered_at BIGINT)")
    for region, amount, seen in IMPORTED:
        execute(f"INSERT INTO imported VALUES ('{region}', '{amount}', '{seen}')")
    for row in TICKS:
        execute(f"INSERT INTO ticks VALUES {row}")
    text = [[name, "VARCHAR(30)", ""] for name in ("region", "amount", "seen")]
    numbers = [["id", "INTEGER", ""], ["n", "INTEGER", ""], ["ordered_at", "BIGINT", ""]]
    more = [
        {"name": "imported", "rows": 4, "comment": "", "columns": text},
        {"name": "ticks", "rows": 8, "comment": "", "columns": numbers},
    ]
    yield replace(clinic_world.source, tables=[*clinic_world.source.tables, *more])
    execute("DROP TABLE imported")
    execute("DROP TABLE ticks")


async def test_numbers_kept_as_text_are_added_up(engine: Source) -> None:
    answer = await Talk(sources=[engine]).ask("total amount by region")
    assert table(answer) == [["North", "10.50"], ["South", "1.75"]]
    answer = await Talk(sources=[engine]).ask("how many imported where amount over 3")
    assert figure(answer) == "2"


async def test_times_kept_as_text_are_cut_into_months(engine: Source) -> None:
    answer = await Talk(sources=[engine]).ask("how many imported per month")
    assert table(answer) == [["2024-01", "1"], ["2024-02", "2"], ["2024-03", "1"]]
    assert figure(await Talk(sources=[engine]).ask("how many imported in February 2024")) == "2"


async def test_seconds_since_1970_are_cut_into_months_and_hours(engine: Source) -> None:
    times = [datetime.fromtimestamp(at, UTC) for _, _, at in TICKS]
    answer = await Talk(sources=[engine]).ask("how many ticks per month")
    expected = Counter(f"{at:%Y-%m}" for at in times)
    assert {row[0]: int(row[1]) for row in table(answer)} == expected
    answer = await Talk(sources=[engine]).ask("how many ticks per hour of the day")
    expected = Counter(str(at.hour) for at in times)
    assert {row[0]: int(row[1]) for row in table(answer)} == expected


async def test_days_of_the_week_come_in_their_order(clinic_world: World) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask("appointments per weekday")
    days = Counter(f"{v['scheduled_at']:%u %A}" for v in clinic_world.rows["appointments"])
    assert table(answer) == [[day, str(count)] for day, count in sorted(days.items())]


@pytest.mark.parametrize(
    ("words", "least", "most"),
    [("more than 7", 8, 999), ("fewer than 3", 0, 2), ("exactly 5", 5, 5), ("at most 4", 0, 4)],
)
async def test_things_are_chosen_by_how_many_belong_to_them(
    clinic_world: World, words: str, least: int, most: int
) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask(
        f"how many patients with {words} appointments"
    )
    counts = Counter(visit["patient_id"] for visit in clinic_world.rows["appointments"])
    patients = [patient["patient_id"] for patient in clinic_world.rows["patients"]]
    assert figure(answer) == str(sum(least <= counts[key] <= most for key in patients))


async def test_counts_are_averaged_over_those_that_have_any(clinic_world: World) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask(
        "average number of appointments per doctor"
    )
    visits = clinic_world.rows["appointments"]
    doctors = {visit["doctor_id"] for visit in visits}
    assert figure(answer) == f"{len(visits) / len(doctors):,.2f}"


async def test_two_figures_of_one_number_stand_side_by_side(clinic_world: World) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask("min, max and average fee by status")
    fees: dict[str, list[float]] = {}
    for visit in clinic_world.rows["appointments"]:
        fees.setdefault(visit["status"], []).append(visit["fee"])
    found = {row[0]: row[1:] for row in table(answer)}
    assert found == {
        status: [f"{min(all_of):,.2f}", f"{max(all_of):,.2f}", f"{sum(all_of) / len(all_of):,.2f}"]
        for status, all_of in fees.items()
    }
    assert column(answer, 0) == sorted(found, key=lambda status: (-min(fees[status]), status))
