"""A chart as text: bars for names, a sparkline for long series. For terminals and for channels without images.

Bounded in width and in lines; says what it leaves out. Pure.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence

from databot.tools.chart_data import ChartData, Point

WIDTH = 72
MAX_BARS = 20
LABEL = 24
EIGHTHS = " ▏▎▍▌▋▊▉█"
MIDNIGHT = re.compile(r"(?<=^\d{4}-\d\d-\d\d)T00:00:00(?:\+00:00|Z)?$")
"""What a time says beyond its day, when it says nothing."""
LEVELS = "▁▂▃▄▅▆▇█"


def chart_text(data: ChartData, width: int = WIDTH) -> str:
    """The chart in lines of at most `width` columns."""
    width = max(width, 40)
    title = [_fit(data.request.title, width)] if data.request.title else []
    if data.request.mark in {"line", "area", "point"} and len(data.points) > MAX_BARS:
        return "\n".join([*title, *_sparklines(data, width)])
    return "\n".join([*title, *_bars(data.points, width)])


def _bars(points: Sequence[Point], width: int) -> list[str]:
    shown = points[:MAX_BARS]
    labels = [_label(point, point.series) for point in shown]
    numbers = [number_text(point.y) for point in shown]
    label_width = min(LABEL, max(map(_columns, labels)))
    number_width = max(map(len, numbers))
    room = max(4, width - label_width - number_width - 2)
    largest = max((abs(point.y) for point in shown), default=0.0)
    lines = [
        f"{_pad(label, label_width)} {_pad(_bar(point.y, largest, room), room)} {number:>{number_width}}"
        for point, label, number in zip(shown, labels, numbers, strict=True)
    ]
    if len(points) > len(shown):
        lines.append(f"… and {len(points) - len(shown):,} more")
    return lines


def _label(point: Point, series: str = "") -> str:
    x = point.x if isinstance(point.x, str) else f"{point.x:.10g}"  # a year has no thousands
    day = MIDNIGHT.sub("", x)
    return _fit(" ".join((f"{day} · {series}" if series else day).split()), LABEL)


def _bar(value: float, largest: float, room: int) -> str:
    """A bar as long as the value is large; below zero it is drawn hollow."""
    if not largest:
        return ""
    eighths = round(abs(value) / largest * room * 8)
    if value < 0:
        return "░" * max(1, eighths // 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _sparklines(data: ChartData, width: int) -> list[str]:
    lines: list[str] = []
    for series in data.series[:MAX_BARS]:
        points = [point for point in data.points if point.series == series]
        values = [point.y for point in points]
        name = f"{_fit(series, LABEL)}: " if series else ""
        lines.append(_fit(f"{name}{number_text(min(values))} to {number_text(max(values))}", width))
        lines.append(_sparkline(values, width))
        first, last = _label(points[0]), _label(points[-1])
        gap = max(1, min(len(values), width) - _columns(first) - _columns(last))
        lines.append(_fit(f"{first}{' ' * gap}{last}", width))
    return lines


def _sparkline(values: Sequence[float], width: int) -> str:
    """One character a value; more values than columns are averaged."""
    columns = min(len(values), width)
    edges = [round(step * len(values) / columns) for step in range(columns + 1)]
    largest = max(map(abs, values)) or 1.0  # shares of it cannot overflow when they are added
    shares = [value / largest for value in values]
    means = [sum(shares[start:end]) / (end - start) for start, end in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(LEVELS[round((mean - low) / span * (len(LEVELS) - 1))] for mean in means)


def number_text(value: float) -> str:
    """A number as people read it: grouped thousands, at most two decimals, short when it is huge."""
    if value != 0 and (abs(value) >= 1e15 or abs(value) < 0.005):
        return f"{value:.3g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _columns(text: str) -> int:
    """How many terminal columns the text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _fit(text: str, width: int) -> str:
    """The text in at most `width` columns, without control characters."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    if _columns(clean) <= width:
        return clean
    while clean and _columns(clean) > width - 1:
        clean = clean[:-1]
    return f"{clean}…"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _columns(text))
