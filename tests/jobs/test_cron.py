from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.jobs.cron import CronTime
from databot.types.errors import ConfigError

BERLIN = "Europe/Berlin"


def moment(text: str) -> datetime:
    """A moment in UTC, such as `2026-03-29 00:30`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def firings(time: CronTime, start: str, end: str) -> list[str]:
    """Every time in [start, end), in UTC."""
    found: list[str] = []
    at = time.after(moment(start) - timedelta(seconds=1))
    while at < moment(end):
        found.append(f"{at:%d %H:%M}")
        at = time.after(at)
    return found


# In Berlin the clocks go from 02:00 to 03:00 at 01:00 UTC on 29 March 2026, and from 03:00 back to 02:00 at 01:00 UTC on
# 25 October 2026.
@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", ["28 01:30", "29 01:00", "30 00:30"]),  # left out: due at its end
        ("15,45 2 * * *", ["28 01:15", "28 01:45", "29 01:00", "30 00:15", "30 00:45"]),
        ("0 3 * * *", ["28 02:00", "29 01:00", "30 01:00"]),
        ("30 1 * * *", ["28 00:30", "29 00:30", "29 23:30"]),
        ("0 2 29 3 *", ["29 01:00"]),
    ],
)
def test_what_is_due_in_the_hour_that_is_left_out_fires_once(
    cron: str, expected: list[str]
) -> None:
    times = firings(CronTime(cron, BERLIN), "2026-03-28 00:00", "2026-03-31 00:00")
    assert times[: len(expected)] == expected
    assert len(set(times)) == len(times)


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", ["24 00:30", "25 00:30", "26 01:30"]),
        ("0 2 * * *", ["24 00:00", "25 00:00", "26 01:00"]),
        ("59 2 * * *", ["24 00:59", "25 00:59", "26 01:59"]),
        ("30 3 * * *", ["24 01:30", "25 02:30", "26 02:30"]),
    ],
)
def test_a_fixed_time_in_the_hour_that_comes_twice_fires_once(
    cron: str, expected: list[str]
) -> None:
    assert firings(CronTime(cron, BERLIN), "2026-10-24 00:00", "2026-10-27 00:00") == expected


@pytest.mark.parametrize("start", ["2026-10-25 00:40", "2026-10-25 01:10", "2026-10-25 01:40"])
def test_asked_in_the_second_pass_of_the_hour_a_fixed_time_is_tomorrows(start: str) -> None:
    following = CronTime("30 2 * * *", BERLIN).after(moment(start))
    assert following == moment("2026-10-26 01:30")


@pytest.mark.parametrize(
    ("cron", "day", "count"),
    [
        ("0 * * * *", "2026-03-29", 23),
        ("0 * * * *", "2026-10-25", 25),
        ("*/15 * * * *", "2026-03-29", 92),
        ("*/15 * * * *", "2026-10-25", 100),
    ],
)
def test_work_of_every_hour_goes_by_real_time(cron: str, day: str, count: int) -> None:
    zone = ZoneInfo(BERLIN)
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = start + timedelta(days=1)  # by the wall clock
    time, at, found = CronTime(cron, BERLIN), start.astimezone(UTC) - timedelta(seconds=1), 0
    while (at := time.after(at)) < end.astimezone(UTC):
        found += 1
    assert found == count


def test_utc_has_no_such_days() -> None:
    times = firings(CronTime("30 2 * * *", "UTC"), "2026-03-28 00:00", "2026-03-31 00:00")
    assert times == ["28 02:30", "29 02:30", "30 02:30"]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-06-10 09:00", "2026-06-10 05:00"),
        ("2026-06-10 05:00", "2026-06-10 05:00"),
        ("2026-06-10 04:59", "2026-06-09 05:00"),
        ("2026-03-29 12:00", "2026-03-29 05:00"),
        ("2026-10-25 12:00", "2026-10-25 06:00"),
    ],
)
def test_the_latest_time_is_the_last_one_not_later_than_now(now: str, expected: str) -> None:
    assert CronTime("0 7 * * *", BERLIN).latest(moment(now)) == moment(expected)


@given(
    st.integers(0, 10 * 366 * 86_400).map(
        lambda seconds: moment("2020-01-01") + timedelta(seconds=seconds)
    ),
    st.sampled_from(["30 2 * * *", "0 * * * *", "*/20 3 * * *", "0 0 1 * *", "15 2 * * SUN"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_no_time_lies_between_the_latest_and_the_next(now: datetime, cron: str, zone: str) -> None:
    time = CronTime(cron, zone)
    latest, following = time.latest(now), time.after(now)
    assert latest <= now < following
    assert time.after(latest) == following


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "0 0 31 2 *",
        "a b c d e",
        "@daily",
        "0 0 30 FEB *",
    ],
)
def test_what_is_no_time_is_refused_and_named(cron: str) -> None:
    with pytest.raises(ConfigError, match="not a time that comes"):
        CronTime(cron, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe"])
def test_a_time_zone_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(ConfigError, match="time zone"):
        CronTime("0 0 * * *", zone)
