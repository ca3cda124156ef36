"""Time in English: "last month", "since 2024-05-01", "in Q2 2024" become `Period`s.

What is relative stays relative: the database's own current date decides what "today" is, when the query runs.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from databot.providers.offline.question import Bound, Period, Unit
from databot.providers.offline.words import listed

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_DAY = r"\d{4}-\d{2}-\d{2}"
_YEAR = r"(?:19|20)\d{2}"
_UNIT = r"(?P<unit>hour|day|week|month|quarter|year)s?"
_COUNTS = {
    word: number
    for number, word in enumerate(
        listed(
            """
    zero one two three four five six seven eight nine ten eleven twelve
    """
        )
    )
} | {"couple of": 2, "few": 3}
_COUNT = rf"(?P<count>\d{{1,4}}|{'|'.join(_COUNTS)})"
_IN = r"(?:(?:made|placed|created|dated|in|during|for|of|from|within|on|throughout)\s+)?(?:the\s+)?"

_UNITS: dict[str, Unit] = {
    "hour": "hour",
    "day": "day",
    "week": "week",
    "month": "month",
    "quarter": "quarter",
    "year": "year",
}
Maker = Callable[[re.Match[str]], Period | None]


def _shifted(unit: Unit, start: int, end: int, label: str) -> Period:
    return Period(
        label=label,
        start=Bound(floor=unit, shift=start, by=unit),
        end=Bound(floor=unit, shift=end, by=unit),
    )


def _unit(match: re.Match[str]) -> Unit:
    return _UNITS[match["unit"].lower()]


def _rolling(match: re.Match[str]) -> Period:
    count = int(match["count"]) if match["count"].isdigit() else _COUNTS[match["count"].lower()]
    unit = _unit(match)
    floor: Unit = "hour" if unit == "hour" else "day"
    end = Bound(floor=floor, shift=1, by=floor)
    start = Bound(floor=floor, shift=-count, by=unit)
    return Period(label=f"in the last {match['count']} {unit}s", start=start, end=end)


def _last(match: re.Match[str]) -> Period:
    unit = _unit(match)
    which = match["which"].lower()
    if which in {"this", "current"}:
        return _shifted(unit, 0, 1, f"this {unit}")
    if which in {"next", "coming"}:
        return _shifted(unit, 1, 2, f"next {unit}")
    return _shifted(unit, -1, 0, f"last {unit}")


def _day_name(match: re.Match[str]) -> Period:
    name = " ".join(match["name"].lower().split())
    shift = {"today": 0, "yesterday": -1, "tomorrow": 1, "the day before yesterday": -2}
    return _shifted("day", shift[name], shift[name] + 1, name)


def _parse(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _between(match: re.Match[str]) -> Period | None:
    start, end = _first_day(match["start"]), _day_after(match["end"])
    if not (start and end):
        return None
    label = f"from {match['start']} to {match['end']}"
    return Period(label=label, start=Bound(iso=start), end=Bound(iso=end))


def _first_day(text: str) -> str | None:
    found = _parse(text if "-" in text else f"{text}-01-01")
    return found.isoformat() if found else None


def _day_after(text: str) -> str | None:
    if "-" not in text:
        return f"{int(text) + 1}-01-01"
    found = _parse(text)
    return (found + timedelta(days=1)).isoformat() if found else None


_COMPARED = r"(?:and|or|vs\.?|versus|against|compared (?:to|with)|,)"


def _two_years(match: re.Match[str]) -> Period | None:
    """Two years one after the other, each to be told by itself."""
    first, second = sorted((int(match["year"]), int(match["other"])))
    if second != first + 1:
        return None
    bounds = _months(first, 1, 24, f"in {match['year']} and {match['other']}")
    return replace(bounds, each="year")


def _last_and_this(match: re.Match[str]) -> Period | None:
    unit, which = _unit(match), {match["which"].lower(), match["other"].lower()}
    if which != {"last", "this"}:
        return None
    both = _shifted(unit, -1, 1, f"last {unit} and this {unit}")
    return replace(both, each=unit)


def _since_name(match: re.Match[str]) -> Period:
    """From the start of yesterday or last month on; "before" ends there, "until" with the end of it."""
    name, word = " ".join(match["name"].lower().split()), match["word"].lower()
    unit: Unit = _UNITS.get(name.rpartition(" ")[2], "day")
    shift = -1 if name.startswith(("last", "yesterday")) else 0
    label = f"{word} {name}"
    if word in {"since", "from", "starting"}:
        return Period(label=label, start=Bound(floor=unit, shift=shift, by=unit))
    end = shift + (word in {"until", "till", "up to"})
    if word == "after":
        return Period(label=label, start=Bound(floor=unit, shift=shift + 1, by=unit))
    return Period(label=label, end=Bound(floor=unit, shift=end, by=unit))


def _since(match: re.Match[str]) -> Period | None:
    word, what = match["word"].lower(), match["start"]
    before = word.startswith(("before", "until", "till", "up to", "prior", "older", "earlier"))
    inclusive = word in {"since", "from", "starting", "until", "till", "up to", "on or after"}
    if before:
        day = _day_after(what) if inclusive else _first_day(what)
        return Period(label=f"{word} {what}", end=Bound(iso=day)) if day else None
    day = _first_day(what) if inclusive else _day_after(what)
    return Period(label=f"{word} {what}", start=Bound(iso=day)) if day else None


def _on(match: re.Match[str]) -> Period | None:
    start, end = _first_day(match["start"]), _day_after(match["start"])
    if not (start and end):
        return None
    return Period(label=f"on {match['start']}", start=Bound(iso=start), end=Bound(iso=end))


def _month(match: re.Match[str]) -> Period:
    number = next(
        i for i, name in enumerate(_MONTHS, 1) if name.startswith(match["month"][:3].lower())
    )
    name = _MONTHS[number - 1].capitalize()
    year = match.groupdict().get("year")
    if not year:
        return Period(label=f"in {name} of any year", month=number)
    return _months(int(year), number, 1, f"in {name} {year}")


def _months(year: int, first: int, count: int, label: str) -> Period:
    after = year * 12 + first - 1 + count
    return Period(
        label=label,
        start=Bound(iso=f"{year}-{first:02d}-01"),
        end=Bound(iso=f"{after // 12}-{after % 12 + 1:02d}-01"),
    )


def _year_month(match: re.Match[str]) -> Period | None:
    year, month = (int(part) for part in match["start"].split("-"))
    return _months(year, month, 1, f"in {match['start']}") if 1 <= month <= 12 else None


def _quarter(match: re.Match[str]) -> Period:
    number, year = int(match["quarter"]), int(match["year"])
    return _months(year, number * 3 - 2, 3, f"in Q{number} {year}")


def _year(match: re.Match[str]) -> Period:
    year = int(match["year"])
    return _months(year, 1, 12, f"in {year}")


_BOUNDS = (
    "on or after|since|after|starting|before|until|till|up to|prior to|older than|earlier than"
    "|later than|newer than"
)
_POINT = rf"(?P<start>{_DAY}|{_YEAR})"
_NAMED = r"(?P<name>yesterday|today|(?:last|this)\s+(?:week|month|quarter|year))"
_RULES: tuple[tuple[re.Pattern[str], Maker], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), maker)
    for pattern, maker in (
        (
            rf"\b{_IN}(?P<year>{_YEAR})\s*{_COMPARED}\s*(?:in\s+)?(?P<other>{_YEAR})\b(?![-.,]?\d)",
            _two_years,
        ),
        (
            rf"\b{_IN}(?P<which>last|this)\s+{_UNIT}\s*{_COMPARED}\s*(?P<other>last|this)(?:\s+(?P=unit))?\b",
            _last_and_this,
        ),
        (
            rf"\b(?P<word>since|from|starting|after|before|until|till|up to)\s+(?:the\s+)?{_NAMED}\b(?!\s+(?:and|to|until|till)\b)",
            _since_name,
        ),
        (
            rf"\b(?:between|from)\s+{_POINT}\s+(?:and|to|until|till|through)\s+(?P<end>{_DAY}|{_YEAR})\b",
            _between,
        ),
        (
            rf"\b(?P<word>{_BOUNDS}|from(?=\s+{_DAY}))\s+{_POINT}\b(?!-)",
            _since,
        ),
        (rf"\b{_IN}(?:last|past|previous|recent)\s+{_COUNT}\s+{_UNIT}\b", _rolling),
        (rf"\b{_IN}(?P<which>last|past|previous|this|current|next|coming)\s+{_UNIT}\b", _last),
        (
            rf"\b{_IN}(?P<name>today|yesterday|tomorrow|the\s+day\s+before\s+yesterday)(?:'s)?\b",
            _day_name,
        ),
        (rf"\b{_IN}{_MONTH}\.?,?\s+(?:of\s+)?(?P<year>{_YEAR})\b", _month),
        (rf"\b(?:in|during|for|of)\s+{_MONTH}\b(?!-)", _month),
        (rf"\b{_IN}q(?P<quarter>[1-4])[\s,/-]*(?:of\s+)?(?P<year>{_YEAR})\b", _quarter),
        (rf"\b{_IN}(?P<year>{_YEAR})[\s-]*q(?P<quarter>[1-4])\b", _quarter),
        (rf"\b{_IN}(?P<start>{_DAY})(?![\w:-])", _on),
        (rf"\b{_IN}(?P<start>{_YEAR}-\d{{2}})(?![\w-])", _year_month),
        (
            rf"\b(?:in|during|for|of|from|about|throughout|and)\s+(?:the\s+)?(?:year\s+)?(?P<year>{_YEAR})\b(?![-.,]?\d)",
            _year,
        ),
        (rf"^\W*(?P<year>{_YEAR})\W*$", _year),
        (rf"^\W*(?P<year>{_YEAR})\s+(?=[a-z])", _year),
        (rf"(?<=(?:hour|week|year|onth|rter|ekly|thly|erly))\s+(?P<year>{_YEAR})\W*$", _year),
    )
)


def find_periods(text: str) -> tuple[str, tuple[Period, ...]]:
    """The text without its time expressions, and the periods they name, in no particular order."""
    periods: list[Period] = []
    for pattern, maker in _RULES:
        match = pattern.search(text)
        while match:
            period = maker(match)
            if period is None:
                break
            periods.append(period)
            text = (
                f"{text[: match.start()]} \x01period:{len(periods) - 1}\x02 {text[match.end() :]}"
            )
            match = pattern.search(text)
    return text, tuple(periods)
