"""Numbers as people write them, and every value they may stand for.

`1,234.5`, `1.234,5`, `1 234`, `3k`, `1.2M`, `1.2e+06`: one number often has several readings, and all are given. Knows no
prose: what in a text is a figure at all is `printed`'s business. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SPACES = "\u00a0\u202f\u2009 "
DIGITS = (
    r"(?P<digits>(?:\d{1,3}(?: \d{3})+(?!\d)|\d[\d_]*(?:[.,'" + SPACES[:3] + r"]\d+)*)(?:[.,]\d+)?"
    r"|(?<![\w.,])\.\d+)"
    r"(?P<power>e[+-]\d{1,2}(?!\w))?"
    r"(?P<unit>\s?%|\s(?:percent(?:age)?|per\s?cent|pp)\b|\s?(?:thousand|million|billion|trillion|mio|bn|mn|tn|x|[kmbt])\b)?"
)
FIGURE = re.compile(r"(?<![\w.])(?<!\d,)" + DIGITS, re.IGNORECASE)
"""A number that is no part of a word."""
ANY = re.compile(DIGITS, re.IGNORECASE)
SCALES = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "million": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "billion": 1e9,
    "t": 1e12,
    "tn": 1e12,
    "trillion": 1e12,
}
MEASURES = {"m", "b", "t"}
"""Written small these may also be metres, bytes or tonnes, which scale nothing."""
GROUPED = re.compile(r"\d{1,3}(?:([,.'_" + SPACES + r"])\d{3})(?:\1\d{3})*")
INDIAN = re.compile(r"\d{1,2}(?:,\d\d)+,\d{3}")
MOST_DIGITS = 30
PLAIN = re.compile(r"(?<![\w.])(?:0|[1-9]\d{0,16})(?:\.\d{1,17})?(?!\w)", re.ASCII)
THOUSANDS = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d{1,9})?(?![\w,])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value a written number may stand for; the true value lies within `half_step` of it."""

    value: float
    half_step: float


def readings_of(match: re.Match[str]) -> tuple[Reading, ...]:
    """Every way people in some country read a match of `FIGURE`; none when nobody would write a number so."""
    scale = float(f"1{match['power']}") if match["power"] else 1.0
    unit = unit_of(match)
    factors = {scale * SCALES.get(unit.lower(), 1.0)} | ({scale} if unit in MEASURES else set())
    return tuple(
        Reading(value=value * factor, half_step=half_step * factor)
        for value, half_step in dict.fromkeys(_values(match["digits"]))
        for factor in factors
    )


def unit_of(match: re.Match[str]) -> str:
    """What stands behind the digits, as written; empty when it is no unit."""
    return (match["unit"] or "").strip()


def parts_of(match: re.Match[str]) -> tuple[Reading, ...]:
    """The numbers one after another that look like one: `10,20,30`, and `12 345` where it is no 12,345."""
    digits = match["digits"]
    if " " not in digits and any(_splits(digits)):
        return ()
    found = re.findall(r"\d+(?:\.\d+)?", digits)
    whole = [part for part in found if len(part) <= MOST_DIGITS and part.isascii()]
    if len(whole) < 2:
        return ()
    return tuple(
        Reading(value=float(part), half_step=0.5 * 10.0 ** -len(part.partition(".")[2]))
        for part in whole
    )


def plain_numbers(text: str) -> Iterator[float]:
    """The numbers of a long text that are written as programs write them. Takes up to 0.4 µs a character."""
    yield from map(float, PLAIN.findall(text))
    yield from (float(digits.replace(",", "")) for digits in THOUSANDS.findall(text))


def numbers_in(text: str) -> Iterator[float]:
    """Every number that stands in a text, parts of words too, in every reading. Takes up to 3 µs a character."""
    yield from plain_numbers(text)
    for match in ANY.finditer(text):
        read = readings_of(match) or parts_of(match)
        yield from (reading.value for reading in read)


def _values(digits: str) -> Iterator[tuple[float, float]]:
    for whole, fraction in _splits(digits):
        if whole.isascii() and len(whole) <= MOST_DIGITS:
            yield float(f"{whole}.{fraction or '0'}"), 0.5 * 10.0 ** -len(fraction)


def _one_number(digits: str) -> bool:
    return bool(GROUPED.fullmatch(digits) or INDIAN.fullmatch(digits))


def _splits(digits: str) -> Iterator[tuple[str, str]]:
    if _one_number(digits):
        yield re.sub(r"\D", "", digits), ""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        yield re.sub(r"\D", "", digits), ""
        return
    whole, fraction = digits[:last] or "0", digits[last + 1 :]
    if digits[last] == "," and len(fraction) == 3:  # `1,234` is never one and a quarter in English
        return
    if digits[last] not in whole and (whole.isdigit() or _one_number(whole)):
        yield re.sub(r"\D", "", whole), fraction
