"""The points of a chart, from a query's result: columns checked, values typed, groups aggregated.

The image and the text are both drawn from these points, so they cannot disagree. Pure; knows no drawing.
"""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from databot.tools.cells import column_values, plain
from databot.types.errors import InvalidToolArguments, ToolError, shorten

if TYPE_CHECKING:
    import pyarrow as pa

Mark = Literal["bar", "line", "area", "point", "arc"]
Aggregate = Literal["sum", "mean", "min", "max", "count", "median"]
Scale = Literal["nominal", "temporal", "quantitative"]
MAX_SERIES = 30
MAX_SLICES = 50
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
FOLDS: Mapping[Aggregate, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "mean": statistics.fmean,
    "min": min,
    "max": max,
    "count": len,
    "median": statistics.median,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRequest:
    """What is to be drawn of the result's columns."""

    mark: Mark
    x: str
    y: str
    color: str | None = None
    title: str = ""
    aggregate: Aggregate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One mark: `x` as text, number or ISO time; `series` is empty where there is no colour."""

    x: str | float
    y: float
    series: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartData:
    """Everything a drawing needs."""

    request: ChartRequest
    points: tuple[Point, ...]
    scale: Scale
    left_out: int
    """Rows without a value for x or y."""

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series, in the order of the result."""
        return tuple(dict.fromkeys(point.series for point in self.points))


def chart_data(table: "pa.Table", request: ChartRequest) -> ChartData:
    """The points; raises `InvalidToolArguments` for columns that are not there or not numbers, `ToolError` for nothing to draw."""
    _check_columns(table, request)
    xs = [_position(value) for value in column_values(table.column(request.x))]
    ys = _measures(table, request)
    names = _names(table, request.color)
    rows = [
        Point(x=x, y=y, series=name)
        for x, y, name in zip(xs, ys, names, strict=True)
        if x is not None and y is not None
    ]
    if not rows:
        raise ToolError("there is nothing to draw: the query gave no row with both x and y")
    points = _aggregated(rows, request.aggregate) if request.aggregate else rows
    data = ChartData(
        request=request,
        points=tuple(points),
        scale=_scale([point.x for point in points], request.mark),
        left_out=len(xs) - len(rows),
    )
    _check_readable(data)
    return data


def _check_columns(table: "pa.Table", request: ChartRequest) -> None:
    have = list(table.column_names)
    for role, name in (("x", request.x), ("y", request.y), ("color", request.color)):
        if name is not None and name not in have:
            raise InvalidToolArguments(
                f"{role}: the result has no column {shorten(name)!r};"
                f" its columns are: {shorten(', '.join(have), 1000)}"
            )


def _position(value: Any) -> str | float | None:  # noqa: ANN401 - any value of any database
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return _finite(value)
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    return str(plain(value))


def _finite(value: float | Decimal) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < float("inf") else None


def _measures(table: "pa.Table", request: ChartRequest) -> list[float | None]:
    raw = column_values(table.column(request.y))
    if request.aggregate == "count":
        return [None if value is None else 1.0 for value in raw]
    measures = [_number(value) for value in raw]
    if any(
        measure is None and value is not None and not _is_nan(value)
        for measure, value in zip(measures, raw, strict=True)
    ):
        numeric = [name for name in table.column_names if _is_numeric(table, name)]
        raise InvalidToolArguments(
            f"y: the column {shorten(request.y)!r} is not a number;"
            f" the columns that are: {shorten(', '.join(numeric) or 'none', 1000)}"
        )
    return measures


def _number(value: Any) -> float | None:  # noqa: ANN401 - any value of any database
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        return _finite(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,30}(\.\d{1,30})?\s*", value):
        return float(value)
    return None


def _is_nan(value: Any) -> bool:  # noqa: ANN401 - any value of any database
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_numeric(table: "pa.Table", name: str) -> bool:
    values = [value for value in column_values(table.column(name)) if value is not None]
    return bool(values) and all(_number(value) is not None for value in values)


def _names(table: "pa.Table", color: str | None) -> list[str]:
    if color is None:
        return [""] * table.num_rows
    values = column_values(table.column(color))
    return ["(null)" if value is None else shorten(str(plain(value)), 60) for value in values]


def _aggregated(rows: Sequence[Point], aggregate: Aggregate) -> list[Point]:
    groups: dict[tuple[str | float, str], list[float]] = {}
    for row in rows:
        groups.setdefault((row.x, row.series), []).append(row.y)
    return [
        Point(x=x, y=_folded(values, aggregate), series=series)
        for (x, series), values in groups.items()
    ]


def _folded(values: Sequence[float], aggregate: Aggregate) -> float:
    try:
        folded = _finite(FOLDS[aggregate](values))
    except OverflowError:
        folded = None
    if folded is None:
        raise ToolError(f"the {aggregate} of these numbers is too large to draw")
    return folded


def _scale(xs: Sequence[str | float], mark: Mark) -> Scale:
    """Time where every x is a time, numbers where every x is one (bars and slices stand for names)."""
    if mark == "arc":
        return "nominal"
    if all(isinstance(x, str) and ISO_DATE.fullmatch(x) for x in xs):
        return "temporal"
    numeric = all(isinstance(x, float) for x in xs)
    return "quantitative" if numeric and mark != "bar" else "nominal"


def _check_readable(data: ChartData) -> None:
    if len(data.series) > MAX_SERIES:
        raise ToolError(
            f"{len(data.series)} series are too many to tell apart; the most is {MAX_SERIES}",
            hint="group the rest in SQL, or leave `color` out",
        )
    if data.request.mark == "arc" and len(data.points) > MAX_SLICES:
        raise ToolError(
            f"{len(data.points)} slices are too many to read; the most is {MAX_SLICES}",
            hint="use bar, or keep the largest in SQL",
        )
    if data.request.mark == "arc" and any(point.y < 0 for point in data.points):
        raise ToolError("slices cannot be negative", hint="use bar")
