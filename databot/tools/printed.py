"""Figures as people print them: found in prose, with every value they may stand for.

`1,234.5`, `1.234,5`, `$3k`, `1.2M`, `12 %`, `-7`, `1 234` are figures. Code, citation markers, dates, times, list
ordinals, identifiers (`ORD-1234`, `v2`) and phrases such as "top 3" are not. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from databot.tools.digits import FIGURE, Reading, parts_of, readings_of, unit_of

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
            rf"\b(?:\d{{1,2}}\s*-\s*)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH}(?:,?\s+{YEAR})?\b|\b{MONTH},?\s+{YEAR}\b",  # 1 May 2024
            rf"\b(?:[QH][1-4]|FY|fiscal(?:\s+year)?)[\s-]*{YEAR}\b|\b{YEAR}[\s-]*[QH][1-4]\b",  # Q1 2024
            (
                rf"\b(?:in|since|during|year|until|through|from|between|before|after)\s+{YEAR}(?:\s*(?:and|to|vs\.?|or|-)\s*{YEAR})?"
                r"(?!\s*%)(?![\d,.]*\d)"  # since 2023
            ),
            r"\b\d+(?:st|nd|rd|th)\b|\b\d{4}s\b",  # 3rd, 1990s
            r"\b(?!\d{1,3}(?:\.\d{3}){2}(?![.\d]))\d+(?:\.\d+){2,}\b(?!\.?\d|,\d)",  # versions, addresses; not 1.000.000
            (
                r"\b(?:top|first|last|bottom|next|previous|past|latest|newest|oldest|earliest|recent|show(?:s|n|ing)?)"
                r"\s+\d{1,3}\b(?![\d.,]*\d)(?!\s*%)"  # top 20
            ),
            r"\b(?:line|col|column|position|offset|character)\b[:#]?\s\d{1,6}\b(?![\d.,]*\d)",  # line 1, col: 50
            r"\b(?:error(?:\s+code)?|code|http|status(?:\s+code)?|port)\s\d{3,5}\b(?![\d.,]*\d)",  # HTTP 503
            (
                r"\b(?:these|those|following|step|option|page|part|section|rank|quarter|week|month|day|version|level|phase"
                r"|tier|number|no\.)\s+(?:1[0-2]|\d)\b(?![\d.,]*\d)(?!\s*%)"  # step 3
            ),
            r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|[^\s@]{1,64}@[^\s@]{1,255}",  # UUIDs, mail addresses
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
DIGIT = re.compile(r"\d")
CODE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|``[^\n]{1,500}?``|`(?:[^`\n]|\n(?!\s*\n)){1,500}`",
    re.DOTALL,
)
INDENTED = re.compile(r"(?:\A|(?<=\n))[ \t]*\n(?:(?: {4}|\t)[^\n]*(?:\n|\Z))+")
LIST = re.compile(r"^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]", re.MULTILINE)
RANK = re.compile(r"[ \t]*\|[ \t]*(\d{1,4})[ \t]*(?=\|)", re.ASCII)
NAMES = re.compile(
    r"“(?=[^”\n]{0,200}[^\W\d_])[^”\n]{1,200}”|(?<!\w)\"(?=[^\"\n]{0,200}[^\W\d_])[^\"\n]{1,200}\"(?!\w)"
)
"""What is quoted is called so; a number alone in quotes is a figure like any other."""
PREFIX = re.compile(r"[~≈<>≤≥]?\s?(?:(?<![\w)])[+-])?[$€£¥]?\s?(?:(?<![\w)])[+-])?$")
TIMES = re.compile(r"[\s-]?(?:times|fold)\b", re.IGNORECASE)
STUCK = re.compile(r"[-_]?[^\W\d]")
WORD_AFTER = re.compile(r"-?[^\W\d_]+\b")
SENTENCE_END = re.compile(r"[.!?;] |\n")
REACH = 200
"""How far, in characters, a sentence is looked at on each side of a figure."""
PLAINER = {0x2212: "-", 0x2013: "-", 0x2014: "-", 0x2019: "'", ord("*"): " "}
"""Dashes and minus signs, curly apostrophes, and the asterisks of emphasis."""
LONGEST_UNIT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A figure in a text: as printed, what it may stand for, and the sentence it stands in.

    `parts` are the figures it may be instead of one: `10,20,30`.
    """

    text: str
    readings: tuple[Reading, ...]
    parts: tuple[Reading, ...]
    percent: bool
    factor: bool
    sentence: str
    before: str


def figures_in(text: str) -> Iterator[Printed]:
    """Every figure of the text, in order. Takes about 3 µs a character."""
    # Every replacement keeps the length, so that a figure can be told as it stands in the text.
    prose = NAMES.sub(_blank, CODE.sub(_blank, text.translate(PLAINER)))
    if not LIST.search(text):  # what is indented in a list belongs to an item
        prose = INDENTED.sub(_blank, prose)
    prose = "".join(map(_without_dates, _without_ranks(prose.splitlines(keepends=True))))
    for match in FIGURE.finditer(prose):
        if _is_identifier(prose, match):
            continue
        unit = unit_of(match).lower()
        readings, parts = readings_of(match), parts_of(match)
        if readings or parts:
            start = _start(prose, match.start())
            yield Printed(
                text=text[start : match.end()].strip(" *\t\n"),
                readings=readings,
                parts=parts,
                percent=unit.startswith(("%", "per", "pp")),
                factor=unit == "x" or bool(TIMES.match(prose, match.end())),
                sentence=_sentence(prose, match.start(), match.end()),
                before=prose[max(0, match.start() - 24) : match.start()].lower(),
            )


def _without_dates(line: str) -> str:
    """The line without what only looks like figures; most lines have no digits and are left alone."""
    return NOT_FIGURES.sub(_blank, line) if DIGIT.search(line) else line


def _without_ranks(lines: list[str]) -> Iterator[str]:
    """The lines, those of a table that count 1, 2, 3 … in their first cell without that cell."""
    rank = 0
    for line in lines:
        cell = RANK.match(line)
        counts = cell is not None and int(cell[1]) == rank + 1
        rank = rank + 1 if counts else rank if line.lstrip().startswith("|") else 0
        yield RANK.sub(_blank, line) if counts else line


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
