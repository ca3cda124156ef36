"""A hospital on DuckDB, PostgreSQL and MariaDB: the same questions, the same figures, each in its own dialect."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

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
    ("how many appointments last month", lambda r: "0" if r else ""),
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


PERIODS = [
    f"{which} {unit}"
    for unit in ("day", "week", "month", "quarter", "year")
    for which in ("this", "last", "last 3")
] + ["today", "yesterday", "last 12 hours", "next month"]


@pytest.mark.parametrize("period", PERIODS)
async def test_every_dialect_knows_its_own_today(clinic_world: World, period: str) -> None:
    """The hospital's past is over: what counts here is that the engine understands the dates and finds none."""
    answer = await Talk(sources=[clinic_world.source]).ask(f"how many appointments {period}")
    assert figure(answer) == "0"


async def test_the_latest_rows_come_first(clinic_world: World) -> None:
    answer = await Talk(sources=[clinic_world.source]).ask("latest 3 appointments")
    ordered = sorted(
        visits(clinic_world.rows), key=lambda v: (v["scheduled_at"], v["appointment_id"])
    )
    assert column(answer, 0) == [str(v["appointment_id"]) for v in reversed(ordered[-3:])]
