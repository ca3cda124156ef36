"""Figures as people print them: found in prose, with every value they may stand for.

`1,234.5`, `1.234,5`, `$3k`, `1.2M`, `12 %`, `-7`, `1 234` are figures. Code, citation markers, dates, times, list
ordinals, identifiers (`ORD-1234`, `v2`) and phrases such as "top 3" are not. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SPACES = "\u00a0\u202f\u2009 "
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
YEAR = r"(?:19|20)\d\d"
NOT_FIGURES = re.compile(
    "|".join(
        (
            r"\bhttps?://\S+|\]\([^)\s]*\)",  # links
            r"\[\d{1,3}\]",  # citation markers
            r"(?:^[ \t]*(?:[-*>]\s+)?\d{1,3}[.)](?=\s))",  # list ordinals
            r"\b\d{4}-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)?\b",  # ISO dates
            r"\b\d{1,2}[/.]\d{1,2}[/.](?:\d{4}|\d\d)\b|\b\d{4}/\d\d?/\d\d?\b",  # other dates
            r"\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b|\b\d{1,2}\s?[ap]\.?m\b",  # times of day
            rf"\b{MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:\s*-\s*\d{{1,2}})?(?:,?\s+{YEAR})?\b",  # May 1, 2024
            rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH}(?:,?\s+{YEAR})?\b|\b{MONTH},?\s+{YEAR}\b",  # 1 May 2024
            rf"\b(?:[QH][1-4]|FY|fiscal(?:\s+year)?)[\s-]*{YEAR}\b|\b{YEAR}[\s-]*[QH][1-4]\b",  # Q1 2024
            (
                rf"\b(?:in|since|during|year|until|through|from|between|before|after)\s+{YEAR}(?:\s*(?:and|to|vs\.?|or|-)\s*{YEAR})?"
                r"(?!\s*%)(?![\d,.]*\d)"  # since 2023
            ),
            r"\b\d+(?:st|nd|rd|th)\b|\b\d{4}s\b",  # 3rd, 1990s
            r"\b\d+(?:\.\d+){2,}\b",  # versions, addresses
            r"\b(?:top|first|last|bottom|next|previous|past|show(?:s|n|ing)?)\s+\d{1,3}\b(?![\d.,]*\d)(?!\s*%)",  # top 20
            (
                r"\b(?:these|those|following|step|option|page|part|section|rank|quarter|week|month|day|version|level|phase"
                r"|tier|number|no\.)\s+(?:1[0-2]|\d)\b(?![\d.,]*\d)(?!\s*%)"  # step 3
            ),
            r"(?:^[ \t]*\|[ \t]*\d{1,3}[ \t]*(?=\|))",  # the rank in a table
            r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|[^\s@]{1,64}@[^\s@]{1,255}",  # UUIDs, mail addresses
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
DIGIT = re.compile(r"\d")
CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`", re.DOTALL)
PREFIX = re.compile(r"[~≈<>≤≥]?\s?(?:(?<![\w)])[+-])?[$€£¥]?\s?(?:(?<![\w)])[+-])?$")
FIGURE = re.compile(
    r"(?P<digits>(?<![\w.,])(?:\d{1,3}(?: \d{3})+(?!\d)|\d[\d_]*(?:[.,'"
    + SPACES[:3]
    + r"]\d+)*)(?:[.,]\d+)?)"
    r"(?P<unit>\s?%|\s(?:percent(?:age)?|per\s?cent|pp)\b|\s?(?:thousand|million|billion|trillion|mio|bn|mn|tn|x|[kmbt])\b)?",
    re.IGNORECASE,
)
TIMES = re.compile(r"[\s-]?(?:times|fold)\b", re.IGNORECASE)
STUCK = re.compile(r"[-_]?[^\W\d]")
WORD_AFTER = re.compile(r"-?[^\W\d_]+\b")
SENTENCE_END = re.compile(r"[.!?;] |\n")
REACH = 200
"""How far, in characters, a sentence is looked at on each side of a figure."""
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
PLAINER = {0x2212: "-", 0x2013: "-", 0x2014: "-", 0x2019: "'", ord("*"): " "}
"""Dashes and minus signs, curly apostrophes, and the asterisks of emphasis."""
LONGEST_UNIT = 4
GROUPED = re.compile(r"\d{1,3}(?:([,.'_" + SPACES + r"])\d{3})(?:\1\d{3})*")
INDIAN = re.compile(r"\d{1,2}(?:,\d\d)+,\d{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value a printed figure may stand for; the true value lies within `half_step` of it."""

    value: float
    half_step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A figure in a text: as printed, what it may stand for, and the sentence it stands in."""

    text: str
    readings: tuple[Reading, ...]
    percent: bool
    factor: bool
    sentence: str
    before: str


def figures_in(text: str) -> Iterator[Printed]:
    """Every figure of the text, in order. Takes about 3 µs a character."""
    # Every replacement keeps the length, so that a figure can be told as it stands in the text.
    prose = CODE.sub(_blank, text.translate(PLAINER))
    prose = "".join(map(_without_dates, prose.splitlines(keepends=True)))
    for match in FIGURE.finditer(prose):
        if _is_identifier(prose, match):
            continue
        unit = (match["unit"] or "").strip().lower()
        readings = tuple(_readings(match["digits"], SCALES.get(unit, 1.0)))
        if readings:
            start = _start(prose, match.start())
            yield Printed(
                text=text[start : match.end()].strip(" *\t\n"),
                readings=readings,
                percent=unit.startswith(("%", "per", "pp")),
                factor=unit == "x" or bool(TIMES.match(prose, match.end())),
                sentence=_sentence(prose, match.start(), match.end()),
                before=prose[max(0, match.start() - 24) : match.start()].lower(),
            )


def _without_dates(line: str) -> str:
    """The line without what only looks like figures; most lines have no digits and are left alone."""
    return NOT_FIGURES.sub(_blank, line) if DIGIT.search(line) else line


def _blank(match: re.Match[str]) -> str:
    """Nothing in its place, with the line breaks kept: sentences keep their ends."""
    text = match.group()
    if "\n" not in text:
        return " " * len(text)
    return "".join("\n" if character == "\n" else " " for character in text)


def _start(prose: str, digits: int) -> int:
    """Where the figure begins: with its sign, its currency or its "~"."""
    head = prose[max(0, digits - 6) : digits]
    prefix = PREFIX.search(head)
    return digits - len(prefix.group()) if prefix else digits


def _is_identifier(prose: str, match: re.Match[str]) -> bool:
    """Digits that are part of a word (`ORD-1234`, `7f3a`) are a name, not a figure; `12ms` and `30-day` are."""
    start = match.start()
    if re.search(r"[^\W\d_]-$", prose[max(0, start - 2) : start]):
        return True
    if not STUCK.match(prose, match.end()):
        return False
    tail = WORD_AFTER.match(prose, match.end())
    return not tail or (len(tail.group()) > LONGEST_UNIT and not tail.group().startswith("-"))


def _sentence(prose: str, start: int, end: int) -> str:
    before = prose[max(0, start - REACH) : start]
    after = prose[end : end + REACH]
    left = max((mark.end() for mark in SENTENCE_END.finditer(before)), default=0)
    right = SENTENCE_END.search(after)
    return (before[left:] + prose[start:end] + after[: right.start() if right else REACH]).lower()


def _readings(digits: str, scale: float) -> Iterator[Reading]:
    """Every way people in some country read these digits."""
    seen: set[tuple[str, str]] = set()
    for whole, fraction in _splits(digits):
        if (whole, fraction) in seen or not whole.isascii() or len(whole) > 30:
            continue
        seen.add((whole, fraction))
        value = float(f"{whole}.{fraction or '0'}")
        yield Reading(value=value * scale, half_step=0.5 * 10.0 ** -len(fraction) * scale)


def _splits(digits: str) -> Iterator[tuple[str, str]]:
    if GROUPED.fullmatch(digits) or INDIAN.fullmatch(digits):
        yield re.sub(r"\D", "", digits), ""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        yield re.sub(r"\D", "", digits), ""
        return
    whole, fraction = digits[:last], digits[last + 1 :]
    if digits[last] == "," and len(fraction) == 3:  # `1,234` is never one and a quarter in English
        return
    if digits[last] not in whole and (
        whole.isdigit() or GROUPED.fullmatch(whole) or INDIAN.fullmatch(whole)
    ):
        yield re.sub(r"\D", "", whole), fraction
