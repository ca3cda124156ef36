"""The number check: figures in the prose that no result holds.

A figure is supported when it is, to its printed precision, a number of a result or of the question; or when the
sentence says it is derived and it can be: a share or change in percent, a factor, a difference, an average, a sum of
two. Which figures an answer has is `printed`'s business; which figures results have is `figures`'. The check marks, it
never changes the text. It knows numbers, not what they are called: a right number under a wrong name passes.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

from databot.tools.digits import Reading, numbers_in, plain_numbers
from databot.tools.printed import Printed, figures_in

MAX_PAIRED = 40
"""Beyond this many figures nearly every small number is some pair's difference or ratio: pairs say nothing."""
MAX_REPORTED = 20
MAX_CHECKED = 40_000
"""So many characters of an answer are checked: a bound on the time it takes, far above any answer's length."""
SLACK = 1e-12
"""Floats are compared with this relative tolerance, beside the printed precision."""
SPOKEN_CHARS = 2_000
"""So much of what may be quoted is read as prose ("over 3k", "1.234,50 €"): the person's words come first."""
ABOUT = re.compile(r"(?:about|around|roughly|approximately|approx\.?|circa|some|~|≈)\s*[$€£¥]?\s?$")
OVER = re.compile(r"(?:over|above|more than|at least|exceeding|exceeds|exceed|>|≥)\s*[$€£¥]?\s?$")
UNDER = re.compile(
    r"(?:under|below|less than|fewer than|at most|up to|almost|nearly|just short of|<|≤)\s*[$€£¥]?\s?$"
)
DIFFERENCE = re.compile(
    r"\b(?:differen\w+|more|fewer|less|up|down|increas\w+|decreas\w+|drop\w*|rise\w*|rose|gain\w*|grew|grow\w*|fell|fall\w*"
    r"|gap|higher|lower|change\w*|ahead|behind|remaining|left|short|extra|additional|loss|lost|declin\w+)\b"
)
AVERAGE = re.compile(r"\b(?:average\w*|avg|mean|per|each|ratio)\b")
SUM = re.compile(r"\b(?:total\w*|sum\w*|combined|together|altogether|both|plus|overall)\b")


def unsupported_figures(text: str, figures: Sequence[float], question: str) -> tuple[str, ...]:
    """The figures of `text`, as printed and each once, that neither `figures` nor `question` support; at most 20.

    `figures` are the numbers of all results of the turn; `question` is whatever else may be quoted: the person's
    words, and retrieved passages.
    """
    known = _Known(figures, question)
    found = (
        printed.text for printed in figures_in(text[:MAX_CHECKED]) if not known.supports(printed)
    )
    return tuple(dict.fromkeys(found))[:MAX_REPORTED]


class _Known:
    """The numbers an answer may use, ready to be searched; signs are ignored ("a drop of 12")."""

    def __init__(self, figures: Sequence[float], question: str) -> None:
        self._results = sorted({abs(figure) for figure in figures})
        self._all = sorted({*self._results, *_quotable(question)})
        self._derived: dict[str, list[float]] = {}

    def supports(self, printed: Printed) -> bool:
        """Whether any reading of the figure, or each of its parts, is known or, where the sentence says so, derived."""
        spans = [span_of(reading, printed.before) for reading in printed.readings]
        if any(_has(self._all, low, high) for low, high in spans):
            return True
        parts = [span_of(part, "") for part in printed.parts]
        if parts and all(_has(self._all, low, high) for low, high in parts):
            return True
        if printed.percent and any(
            _has(self._results, low / 100, high / 100) for low, high in spans
        ):
            return True
        return any(
            _has(self._derivable(rule), low, high)
            for rule in _rules(printed)
            for low, high in spans
        )

    def _derivable(self, rule: str) -> list[float]:
        """What the rule makes of every two figures, sorted."""
        if len(self._results) > MAX_PAIRED:
            return []
        if rule not in self._derived:
            derive = RULES[rule]
            pairs = ((a, b) for a in self._results for b in self._results if b)
            self._derived[rule] = sorted({abs(derive(a, b)) for a, b in pairs})
        return self._derived[rule]


def _quotable(question: str) -> Iterator[float]:
    """Every number in what may be quoted, however long it is (it may hold results as JSON)."""
    yield from numbers_in(question[:SPOKEN_CHARS])
    yield from plain_numbers(question[SPOKEN_CHARS:])


def span_of(reading: Reading, before: str) -> tuple[float, float]:
    """Between which bounds the true number must lie: the printed precision, wider after "about" or "over"."""
    if not reading.value and reading.half_step == 0.5:
        return 0.0, SLACK  # "0 orders" is none, not a number that rounds to it
    slack = reading.half_step + reading.value * SLACK
    low, high = reading.value - slack, reading.value + slack
    step = _last_digit(reading)
    if ABOUT.search(before):
        low, high = min(low, reading.value - step / 2), max(high, reading.value + step / 2)
    if OVER.search(before):
        high = max(high, reading.value + step)
    if UNDER.search(before):
        low = min(low, reading.value - step)
    return low, high


def _last_digit(reading: Reading) -> float:
    """The weight of the last digit that is not 0: 100 for `1,200`."""
    step = 2 * reading.half_step
    count = round(reading.value / step)
    while count and count % 10 == 0:
        count //= 10
        step *= 10
    return step


def _has(numbers: Sequence[float], low: float, high: float) -> bool:
    """Whether a sorted sequence has a number within the bounds."""
    at = bisect_left(numbers, low)
    return at < len(numbers) and numbers[at] <= high


RULES: Mapping[str, Callable[[float, float], float]] = {
    "share": lambda a, b: 100 * a / b,
    "change": lambda a, b: 100 * (a - b) / b,
    "ratio": lambda a, b: a / b,
    "difference": lambda a, b: a - b,
    "sum": lambda a, b: a + b,
}


def _rules(printed: Printed) -> list[str]:
    """How the sentence says the figure was derived from two others."""
    if printed.percent:
        return ["share", "change"]
    rules: list[str] = []
    if printed.factor or AVERAGE.search(printed.sentence):
        rules.append("ratio")
    if DIFFERENCE.search(printed.sentence):
        rules.append("difference")
    if SUM.search(printed.sentence):
        rules.append("sum")
    return rules
