"""Telemetry in camel case and with prefixes, with no foreign key declared: joins are by name, and the answer says so."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import Row, World

Rows = dict[str, list[Row]]


def device(rows: Rows, number: int) -> Row:
    return next(one for one in rows["Device"] if one["DeviceId"] == number)


def site(rows: Rows, device_id: int) -> Row:
    return next(s for s in rows["Site"] if s["SiteId"] == device(rows, device_id)["SiteId"])


FIGURES: list[tuple[str, Callable[[Rows], str]]] = [
    ("how many devices", lambda r: str(len(r["Device"]))),
    ("how many events", lambda r: str(len(r["fact_events"]))),
    ("how many sensor readings are there", lambda r: str(len(r["SensorReading"]))),
    ("how many high severity events?", lambda r: str(sum(e["severity"] == "high" for e in r["fact_events"]))),
    ("how many critical events in february 2024", lambda r: str(sum(e["severity"] == "critical" and e["event_time"].startswith("2024-02") for e in r["fact_events"]))),
    ("how many alarm events", lambda r: str(sum(e["event_type"] == "alarm" for e in r["fact_events"]))),
    ("how many readings with temperature above 29", lambda r: str(sum(x["Temperature"] > 29 for x in r["SensorReading"]))),
    ("how many readings in Hamburg Port", lambda r: str(sum(site(r, x["DeviceId"])["SiteName"] == "Hamburg Port" for x in r["SensorReading"]))),
    ("average humidity", lambda r: f"{sum(x['Humidity'] for x in r['SensorReading']) / len(r['SensorReading']):,.2f}"),
    ("maximum temperature of dev-03", lambda r: f"{max(x['Temperature'] for x in r['SensorReading'] if x['DeviceId'] == 3):,.2f}"),
    ("which site has the most devices", lambda r: str(max(Counter(d["SiteId"] for d in r["Device"]).values()))),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), FIGURES, ids=[q for q, _ in FIGURES])
async def test_figures_are_those_of_the_rows(
    telemetry_world: World, question: str, expected: Callable[[Rows], str]
) -> None:
    answer = await Talk(sources=[telemetry_world.source]).ask(question)
    assert figure(answer) == expected(telemetry_world.rows)


async def test_joins_by_name_are_told(telemetry_world: World) -> None:
    answer = await Talk(sources=[telemetry_world.source]).ask("average temperature by site")
    rows = telemetry_world.rows
    found: dict[str, list[float]] = {}
    for reading in rows["SensorReading"]:
        found.setdefault(site(rows, reading["DeviceId"])["SiteName"], []).append(
            reading["Temperature"]
        )
    assert {row[0]: row[1] for row in table(answer)} == {
        k: f"{sum(v) / len(v):,.2f}" for k, v in found.items()
    }
    assert "no key is declared" in answer
    assert "SensorReading.DeviceId = Device.DeviceId" in answer


async def test_groups_reach_over_two_guessed_joins(telemetry_world: World) -> None:
    answer = await Talk(sources=[telemetry_world.source]).ask("events by region")
    rows = telemetry_world.rows
    expected = Counter(site(rows, e["device_id"])["Region"] for e in rows["fact_events"])
    assert {row[0]: row[1] for row in table(answer)} == {k: str(v) for k, v in expected.items()}


async def test_hours_of_one_day_are_counted(telemetry_world: World) -> None:
    answer = await Talk(sources=[telemetry_world.source]).ask("readings per hour on 2024-03-05")
    hours = Counter(
        x["RecordedAt"][:13]
        for x in telemetry_world.rows["SensorReading"]
        if x["RecordedAt"].startswith("2024-03-05")
    )
    assert column(answer, 1) == [str(hours[hour]) for hour in sorted(hours)][-20:]


async def test_prefixes_of_table_names_are_not_spoken(telemetry_world: World) -> None:
    answer = await Talk(sources=[telemetry_world.source]).ask("how many events")
    assert answer.endswith("events.")
    assert "fact" not in answer
