"""A hospital on DuckDB, PostgreSQL and MariaDB: the same questions, the same figures, each in its own dialect."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import Row, World

Rows = dict[str, list[Row]]


def visits(rows: Rows, year: int | None = None, **values: object) -> list[Row]:
    return [
        one
        for one in rows["appointments"]
        if all(one[key] == value for key, value in values.items())
        and (year is None or one["scheduled_at"].year == year)
    ]


def department_of(rows: Rows, doctor_id: int) -> str:
    doctor = next(one for one in rows["doctors"] if one["doctor_id"] == doctor_id)
    number = doctor["department_id"]
    return next(d["department_name"] for d in rows["departments"] if d["department_id"] == number)


def mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):,.2f}"


FIGURES: list[tuple[str, Callable[[Rows], str]]] = [
    ("how many appointments were cancelled?", lambda r: str(len(visits(r, status="cancelled")))),
    ("number of no-show appointments in 2024", lambda r: str(len(visits(r, 2024, status="no-show")))),
    ("how many visits in january 2024", lambda r: str(sum(v["scheduled_at"].month == 1 for v in visits(r, 2024)))),
    ("how many appointments in march", lambda r: str(sum(v["scheduled_at"].month == 3 for v in visits(r)))),
    ("how many appointments in Q2 2024", lambda r: str(sum(v["scheduled_at"].month in {4, 5, 6} for v in visits(r, 2024)))),
    ("how many appointments since 2025-01-15", lambda r: str(sum(v["scheduled_at"] >= datetime(2025, 1, 15) for v in visits(r)))),  # noqa: DTZ001 - as stored
    ("how many patients are insured", lambda r: str(sum(p["insured"] for p in r["patients"]))),
    ("how many uninsured patients", lambda r: str(sum(not p["insured"] for p in r["patients"]))),
    ("how many female patients have blood type AB", lambda r: str(sum(p["gender"] == "female" and p["blood_type"] == "AB" for p in r["patients"]))),
    ("how many patients without appointments", lambda r: str(len({p["patient_id"] for p in r["patients"]} - {v["patient_id"] for v in visits(r)}))),
    ("how many appointments have missing notes", lambda r: str(sum(v["notes"] is None for v in visits(r)))),
    ("how many appointments does Stone3 have", lambda r: str(len(visits(r, doctor_id=3)))),
    ("how many appointments in oncology?", lambda r: str(sum(department_of(r, v["doctor_id"]) == "Oncology" for v in visits(r)))),
    ("how many doctors were hired after 2015", lambda r: str(sum(d["hired_on"].year > 2015 for d in r["doctors"]))),
    ("how many appointments with a fee over 300", lambda r: str(sum(v["fee"] > 300 for v in visits(r)))),
    ("what is the average fee of completed appointments?", lambda r: mean([v["fee"] for v in visits(r, status="completed")])),
    ("highest fee", lambda r: f"{max(v['fee'] for v in visits(r)):,.2f}"),
    ("total fees in 2024", lambda r: f"{sum(v['fee'] for v in visits(r, 2024)):,.2f}"),
    ("which doctor has the highest salary?", lambda r: f"{max(d['salary'] for d in r['doctors']):,.2f}"),
    ("share of appointments that are completed", lambda r: f"{100 * len(visits(r, status='completed')) / len(visits(r)):,.2f}"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), FIGURES, ids=[q for q, _ in FIGURES])
async def test_figures_are_those_of_the_rows(
    clinic_world: World, question: str, expected: Callable[[Rows], str]
) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask(question)
    assert figure(answer) == expected(clinic_world.rows)


async def test_people_are_shown_by_first_and_last_name(clinic_world: World) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask(
        "top 3 doctors by number of appointments"
    )
    counts = Counter(v["doctor_id"] for v in visits(clinic_world.rows))
    names = {
        d["doctor_id"]: f"{d['first_name']} {d['last_name']}" for d in clinic_world.rows["doctors"]
    }
    ranked = sorted(((names[k], n) for k, n in counts.items()), key=lambda p: (-p[1], p[0]))[:3]
    assert table(answer) == [[name, str(n)] for name, n in ranked]


async def test_averages_are_grouped_over_two_joins(clinic_world: World) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask("average fee by department")
    rows = clinic_world.rows
    fees: dict[str, list[float]] = {}
    for visit in visits(rows):
        fees.setdefault(department_of(rows, visit["doctor_id"]), []).append(visit["fee"])
    assert {row[0]: row[1] for row in table(answer)} == {k: mean(v) for k, v in fees.items()}


BUCKETS: list[tuple[str, Callable[[datetime], str]]] = [
    ("year", lambda at: str(at.year)),
    ("quarter", lambda at: f"{at.year}-Q{(at.month + 2) // 3}"),
    ("month", lambda at: f"{at:%Y-%m}"),
    ("week", lambda at: datetime.fromisocalendar(*at.isocalendar()[:2], 1).date().isoformat()),
    ("day", lambda at: at.date().isoformat()),
    ("hour", lambda at: f"{at:%Y-%m-%d %H}:00"),
]


@pytest.mark.parametrize(("grain", "bucket"), BUCKETS, ids=[grain for grain, _ in BUCKETS])
async def test_every_dialect_cuts_time_alike(
    clinic_world: World, grain: str, bucket: Callable[[datetime], str]
) -> None:
    talk = Talk(sources=[clinic_world.source])
    await talk.ask(f"appointments per {grain}")
    _, rows = clinic_world.source.execute(talk.statements[-1])
    expected = Counter(bucket(v["scheduled_at"]) for v in visits(clinic_world.rows))
    assert [(str(row[0]), row[1]) for row in rows] == sorted(expected.items())


def month_start(day: date, months: int) -> date:
    """The first of the month so many months from that of `day`."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def quarter_start(day: date, quarters: int) -> date:
    return month_start(day.replace(month=(day.month - 1) // 3 * 3 + 1), quarters * 3)


def week_start(day: date, weeks: int) -> date:
    return day - timedelta(days=day.weekday()) + timedelta(weeks=weeks)


def year_start(day: date, years: int) -> date:
    return date(day.year + years, 1, 1)


def day_start(day: date, days: int) -> date:
    return day + timedelta(days=days)


def months_back(day: date, months: int) -> date:
    """The same day so many months ago; every engine here agrees on it up to the 28th."""
    return month_start(day, -months).replace(day=day.day)


STARTS = {
    "day": day_start,
    "week": week_start,
    "month": month_start,
    "quarter": quarter_start,
    "year": year_start,
}
PERIODS: list[tuple[str, Callable[[date], tuple[date, date]]]] = [
    *((f"this {unit}", lambda t, f=start: (f(t, 0), f(t, 1))) for unit, start in STARTS.items()),
    *((f"last {unit}", lambda t, f=start: (f(t, -1), f(t, 0))) for unit, start in STARTS.items()),
    *((f"next {unit}", lambda t, f=start: (f(t, 1), f(t, 2))) for unit, start in STARTS.items()),
    ("today", lambda t: (t, t + timedelta(days=1))),
    ("yesterday", lambda t: (t - timedelta(days=1), t)),
    ("in the last 3 days", lambda t: (t - timedelta(days=3), t + timedelta(days=1))),
    ("in the past two weeks", lambda t: (t - timedelta(weeks=2), t + timedelta(days=1))),
    ("in the last 3 years", lambda t: (t.replace(year=t.year - 3), t + timedelta(days=1))),
    ("in the last 6 months", lambda t: (months_back(t, 6), t + timedelta(days=1))),
]


@pytest.mark.parametrize(("period", "bounds"), PERIODS, ids=[period for period, _ in PERIODS])
async def test_every_dialect_knows_its_own_today(
    clinic_world: World, period: str, bounds: Callable[[date], tuple[date, date]]
) -> None:
    _, rows = clinic_world.source.execute("SELECT CURRENT_DATE")
    today = rows[0][0]
    if today.day > 28:
        pytest.skip("the engines differ on what a month before the 31st is")
    start, end = bounds(today)
    talk = Talk(sources=[clinic_world.source])
    await talk.ask(f"how many appointments {period}")
    condition = talk.statements[-1].partition(" WHERE ")[2]
    # The engine says where its own bounds lie: each day around today is put to the very condition of the answer.
    quoted = condition.replace('"scheduled_at"', "d.moment").replace("`scheduled_at`", "d.moment")
    days = [today + timedelta(days=n) for n in range(-1500, 800)]
    union = " UNION ALL ".join(
        f"SELECT CAST('{day} 12:00:00' AS {TIMESTAMPS[clinic_world.source.dialect]}) AS moment"
        for day in days
    )
    _, kept = clinic_world.source.execute(
        f"SELECT MIN(moment), MAX(moment), COUNT(*) FROM ({union}) AS d WHERE {quoted}"
    )
    assert kept[0][0].date() == start
    assert kept[0][1].date() == end - timedelta(days=1)
    assert kept[0][2] == (end - start).days


TIMESTAMPS = {"duckdb": "TIMESTAMP", "postgres": "TIMESTAMP", "mysql": "DATETIME"}


async def test_the_latest_rows_come_first(clinic_world: World) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask("latest 3 appointments")
    ordered = sorted(
        visits(clinic_world.rows), key=lambda v: (v["scheduled_at"], v["appointment_id"])
    )
    assert column(answer, 0) == [str(v["appointment_id"]) for v in reversed(ordered[-3:])]
