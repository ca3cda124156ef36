"""A chart's points as a Vega-Lite specification.

Everything in it is ours: fields are called x, y and series whatever the columns are called, the data stands inline,
and there is no URL, no expression and no transform. The model only chose columns and a mark. Pure.
"""

from collections.abc import Mapping
from typing import Any

from databot.tools.chart_data import ChartData
from databot.types.errors import shorten

WIDTH, HEIGHT = 640, 360
LABEL_CHARS = 60
CONFIG: Mapping[str, Any] = {
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {"labelLimit": 160, "titleFontWeight": "normal"},
    "title": {"anchor": "start", "fontSize": 15},
}


def vega_lite(data: ChartData) -> dict[str, Any]:
    """The specification of the chart."""
    spec: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": [_datum(point.x, point.y, point.series) for point in data.points]},
        "mark": _mark(data),
        "encoding": _slices(data) if data.request.mark == "arc" else _axes(data),
        "config": dict(CONFIG),
    }
    if data.request.title:
        spec["title"] = shorten(data.request.title, 200)
    return spec


def _datum(x: str | float, y: float, series: str) -> dict[str, Any]:
    place = shorten(x, LABEL_CHARS) if isinstance(x, str) else _round(x)
    return {"x": place, "y": y, "series": series} if series else {"x": place, "y": y}


def _round(x: float) -> float | int:
    return int(x) if x.is_integer() and abs(x) < 2**53 else x


def _mark(data: ChartData) -> dict[str, Any]:
    few = len(data.points) <= 60
    extras: Mapping[str, Mapping[str, Any]] = {
        "line": {"point": few},
        "area": {"opacity": 0.7},
        "point": {"filled": True, "opacity": 0.7},
    }
    return {"type": data.request.mark, **extras.get(data.request.mark, {})}


def _axes(data: ChartData) -> dict[str, Any]:
    x: dict[str, Any] = {"field": "x", "type": data.scale, "title": _label(data.request.x)}
    if data.scale == "nominal":
        x["sort"] = None  # the order of the query is the order of the chart
        x["axis"] = {"labelAngle": -40 if len(data.points) > 6 else 0}
    elif data.scale == "quantitative" and all(_is_whole(point.x) for point in data.points):
        x["axis"] = {"format": "d"}
        x["scale"] = {"zero": False}
    encoding: dict[str, Any] = {
        "x": x,
        "y": {"field": "y", "type": "quantitative", "title": _measure(data)},
    }
    if data.request.color is not None:
        encoding["color"] = _color("series", data.request.color)
    return encoding


def _is_whole(x: str | float) -> bool:
    return isinstance(x, float) and x.is_integer()


def _slices(data: ChartData) -> dict[str, Any]:
    return {
        "theta": {"field": "y", "type": "quantitative", "stack": True},
        "color": _color("x", data.request.x),
    }


def _color(field: str, column: str) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "title": _label(column), "sort": None}


def _measure(data: ChartData) -> str:
    label = _label(data.request.y)
    return f"{data.request.aggregate} of {label}" if data.request.aggregate else label


def _label(column: str) -> str:
    return shorten(column, LABEL_CHARS)
