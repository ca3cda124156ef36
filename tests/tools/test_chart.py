"""A chart is drawn by us from a result's columns; what the model writes is only ever text in it."""

import asyncio
import json
import os
import struct
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.tools.chart import CHART_ROWS, ChartTool
from databot.tools.chart_data import Aggregate, ChartData, ChartRequest, Mark, chart_data
from databot.tools.chart_render import ChartRenderer
from databot.tools.chart_spec import vega_lite
from databot.tools.chart_text import chart_text, number_text
from databot.tools.registry import ToolRegistry
from databot.types.chat import ToolCall
from databot.types.errors import InvalidToolArguments, ToolError
from tests.tools.kit import CONTEXT, Bench, FixedSource, SqliteSource, tool_call

SALES = pa.table(
    {
        "country": ["SE", "UK", "CN", "SE", None],
        "year": [2023, 2023, 2024, 2024, 2024],
        "amount": [10.0, 30.0, 20.0, 40.0, 5.0],
        "kind": ["web", "web", "shop", "shop", "shop"],
    }
)


def data_of(  # the parameters of a request, with a default for each
    table: pa.Table = SALES,
    *,
    mark: str = "bar",
    x: str = "country",
    y: str = "amount",
    color: str | None = None,
    title: str = "",
    aggregate: str | None = None,
) -> ChartData:
    request = ChartRequest(
        mark=cast("Mark", mark),
        x=x,
        y=y,
        color=color,
        title=title,
        aggregate=cast("Aggregate | None", aggregate),
    )
    return chart_data(table, request)


def test_points_are_the_rows_in_their_order_without_those_that_lack_a_value() -> None:
    data = data_of()
    assert [(point.x, point.y) for point in data.points] == [
        ("SE", 10.0),
        ("UK", 30.0),
        ("CN", 20.0),
        ("SE", 40.0),
    ]
    assert data.left_out == 1


@pytest.mark.parametrize(
    ("aggregate", "values"),
    [
        ("sum", [50, 30, 20]),
        ("mean", [25, 30, 20]),
        ("min", [10, 30, 20]),
        ("max", [40, 30, 20]),
        ("median", [25, 30, 20]),
        ("count", [2, 1, 1]),
    ],
)
def test_an_aggregate_combines_the_rows_of_one_x(aggregate: str, values: list[float]) -> None:
    assert [point.y for point in data_of(aggregate=aggregate).points] == values


def test_a_count_needs_no_numbers() -> None:
    points = data_of(aggregate="count", y="kind", color="kind").points
    assert [(point.x, point.series, point.y) for point in points] == [
        ("SE", "web", 1.0),
        ("UK", "web", 1.0),
        ("CN", "shop", 1.0),
        ("SE", "shop", 1.0),
    ]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"x": "contry"}, "x: the result has no column 'contry'; its columns are: country, year"),
        ({"y": "total"}, "y: the result has no column 'total'"),
        ({"color": "hue"}, "color: the result has no column 'hue'"),
        ({"y": "kind"}, "'kind' is not a number; the columns that are: year, amount"),
    ],
)
def test_a_column_that_does_not_fit_is_told_with_those_that_do(
    request_: dict[str, str], told: str
) -> None:
    with pytest.raises(InvalidToolArguments) as caught:
        data_of(**request_)
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("table", "request_", "told"),
    [
        (SALES.slice(0, 0), {}, "nothing to draw"),
        (pa.table({"x": pa.nulls(2), "y": [1, 2]}), {}, "nothing to draw"),
        (
            pa.table({"x": range(60), "y": range(60)}),
            {"mark": "arc"},
            "60 slices are too many",
        ),
        (pa.table({"x": ["a"], "y": [-1]}), {"mark": "arc"}, "cannot be negative"),
        (
            pa.table({"x": range(60), "y": range(60)}),
            {"color": "x"},
            "60 series are too many",
        ),
    ],
)
def test_what_cannot_be_drawn_or_read_is_refused_with_a_reason(
    table: pa.Table, request_: dict[str, str], told: str
) -> None:
    with pytest.raises(ToolError, match=told):
        data_of(table, **{"x": table.column_names[0], "y": table.column_names[1], **request_})


def test_numbers_kept_as_text_or_decimals_are_numbers_and_nan_is_left_out() -> None:
    for column in (
        ["1.5", " 2 ", None],
        [Decimal("1.5"), Decimal(2), None],
        [1.5, 2, float("nan")],
    ):
        data = data_of(pa.table({"x": ["a", "b", "c"], "y": pa.array(column)}), x="x", y="y")
        assert [point.y for point in data.points] == [1.5, 2.0]
        assert data.left_out == 1


@pytest.mark.parametrize(
    ("values", "mark", "scale"),
    [
        ([date(2024, 5, 1)], "line", "temporal"),
        (["2024-05-01", "2024-06-01T10:00:00Z"], "bar", "temporal"),
        (["2024-05"], "line", "nominal"),
        ([1, 2], "line", "quantitative"),
        ([1, 2], "bar", "nominal"),
        (["a"], "point", "nominal"),
        ([date(2024, 5, 1)], "arc", "nominal"),
    ],
)
def test_the_axis_fits_the_values(values: list[object], mark: str, scale: str) -> None:
    table = pa.table({"x": pa.array(values), "y": [1] * len(values)})
    assert data_of(table, x="x", y="y", mark=mark).scale == scale


def all_keys(part: object) -> set[str]:
    if isinstance(part, dict):
        return set(part) | {key for value in part.values() for key in all_keys(value)}
    return {key for item in part for key in all_keys(item)} if isinstance(part, list) else set()


@given(st.sampled_from(["bar", "line", "area", "point", "arc"]), st.text(), st.text(), st.text())
def test_nothing_the_model_writes_becomes_more_than_text(
    mark: str, column: str, title: str, value: str
) -> None:
    table = pa.Table.from_arrays(
        [pa.array([value, "b"]), pa.array([1.0, 2.0])], names=[column, f"{column}2"]
    )
    spec = vega_lite(data_of(table, mark=mark, x=column, y=f"{column}2", title=title))
    forbidden = {"url", "transform", "expr", "signal", "params", "href", "loader", "datasets"}
    assert not all_keys(spec) & forbidden
    channels = spec["encoding"].values()
    assert {channel["field"] for channel in channels} <= {"x", "y", "series"}
    assert [set(datum) for datum in spec["data"]["values"]] == [{"x", "y"}] * 2


def test_bars_are_drawn_as_text_in_proportion() -> None:
    text = chart_text(data_of(title="Sales", aggregate="sum"), width=40)
    assert text.splitlines() == [
        "Sales",
        f"SE {'█' * 34} 50",
        f"UK {'█' * 20}▍{' ' * 13} 30",
        f"CN {'█' * 13}▋{' ' * 20} 20",
    ]


def test_a_long_series_is_a_sparkline_with_its_ends_and_range() -> None:
    table = pa.table({"x": range(1_000), "y": range(1_000)})
    text = chart_text(data_of(table, mark="line", x="x", y="y"), width=40)
    assert text.splitlines() == [
        "0 to 999",
        "▁▁▁▂▂▂▂▂▂▃▃▃▃▃▄▄▄▄▄▄▅▅▅▅▅▅▆▆▆▆▆▇▇▇▇▇▇███",
        f"0{' ' * 36}999",
    ]


def test_text_says_how_many_bars_it_leaves_out() -> None:
    table = pa.table({"x": [f"c{n}" for n in range(100)], "y": range(100)})
    lines = chart_text(data_of(table, x="x", y="y")).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 80 more"


@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from(["bar", "line", "arc"]),
)
def test_text_is_bounded_and_has_no_control_characters(
    rows: list[tuple[str, float]], mark: str
) -> None:
    table = pa.table(
        {
            "x": [name for name, _ in rows],
            "y": [abs(value) if mark == "arc" else value for _, value in rows],
        }
    )
    try:
        text = chart_text(data_of(table, x="x", y="y", mark=mark), width=60)
    except ToolError:
        return
    for line in text.split("\n"):
        assert len(line) <= 80
        assert line.isprintable()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.5, "1,234,567.5"), (0.001, "0.001"), (0, "0"), (-12.345, "-12.35"), (1e20, "1e+20")],
)
def test_numbers_are_written_as_people_read_them(value: float, text: str) -> None:
    assert number_text(value) == text


def tools_of(bench: Bench, renderer: ChartRenderer | None = None) -> ToolRegistry:
    services = bench.services
    return ToolRegistry([ChartTool(services.connectors, bench.store, bench.clock, renderer)])


def chart_call(**arguments: str) -> ToolCall:
    whole = {"sql": "SELECT * FROM orders", "mark": "bar", "x": "id", "y": "amount", **arguments}
    return tool_call("chart", json.dumps(whole))


async def test_a_chart_is_kept_as_svg_png_and_specification_and_told_as_text(bench: Bench) -> None:
    result = await tools_of(bench).call(chart_call(title="Orders"), CONTEXT)
    svg, png, spec = (item.data for item in bench.store.saved)
    assert svg.startswith(b"<svg")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert width > 1_000
    assert height > 600
    assert json.loads(spec)["mark"] == {"type": "bar"}
    assert [ref.name for ref in result.artifacts] == ["Orders.svg", "Orders.png", "Orders.vl.json"]
    assert result.content.startswith("Drew a bar chart of amount by id, 3 points.\n")
    assert "███" in result.summary
    assert result.evidence[0].artifact_id is None  # the files are the picture, not the rows
    assert {10.0, 20.0, 30.0, 3.0} <= set(result.figures)


async def test_the_row_limit_of_charts_is_asked_of_the_database_and_told(
    shop: SqliteSource,
) -> None:
    source = FixedSource(pa.table({"id": [1, 2], "amount": [1, None]}), truncated=True)
    bench = Bench([source])
    renderer = ChartRenderer(worker=Path("nowhere"))
    result = await tools_of(bench, renderer).call(chart_call(), CONTEXT)
    limits = source.asked[0][2]
    assert limits is not None
    assert limits.max_rows == CHART_ROWS
    assert "the chart is incomplete" in result.content
    assert "1 rows without x or y" in result.content
    assert shop.asked == []


def worker(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "worker.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("source", "timeout_s"),
    [
        ("import sys; sys.exit(3)", 30.0),
        ("", 30.0),
        ("import threading; threading.Event().wait()", 0.2),
    ],
)
async def test_where_no_image_can_be_drawn_the_text_stands_and_says_so(
    bench: Bench, tmp_path: Path, source: str, timeout_s: float
) -> None:
    renderer = ChartRenderer(timeout_s=timeout_s, worker=worker(tmp_path, source))
    result = await tools_of(bench, renderer).call(chart_call(), CONTEXT)
    assert result.ok
    assert "There is no image: the chart" in result.content
    assert "█" in result.content
    assert [ref.media_type for ref in result.artifacts] == ["application/vnd.vegalite+json"]


async def test_the_drawing_process_is_given_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    source = (
        "import os, sys\n"
        "sys.stdin.read()\n"
        "sys.stdout.buffer.write(bytes(8) + ' '.join(os.environ).encode())\n"
    )
    drawing = await ChartRenderer(worker=worker(tmp_path, source)).draw({})
    assert b"OPENAI_API_KEY" not in drawing.png


async def test_cancelling_ends_the_drawing_process(tmp_path: Path) -> None:
    # The process keeps a FIFO open for writing: its reader sees the end of file when the process is gone.
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    source = f"import threading; fifo = open({str(fifo)!r}, 'w'); threading.Event().wait()"
    renderer = ChartRenderer(worker=worker(tmp_path, source))
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        drawing = tasks.create_task(renderer.draw({}))
        alive = await asyncio.to_thread(fifo.open)  # opens when the process has opened it too
        drawing.cancel()
        with alive:
            assert await asyncio.to_thread(alive.read) == ""
    assert drawing.cancelled()


class Counted(asyncio.Semaphore):
    """Counts how many asked for a place."""

    asked = 0

    async def acquire(self) -> Literal[True]:
        self.asked += 1
        return await super().acquire()


async def test_the_tools_of_two_bots_draw_in_the_same_places(bench: Bench) -> None:
    places = Counted(1)
    services = replace(bench.services, processes=places)
    tools = [ChartTool.create(services) for _ in range(2)]
    registries = [ToolRegistry([tool]) for tool in tools if tool is not None]
    async with asyncio.timeout(60):
        results = await asyncio.gather(*(each.call(chart_call(), CONTEXT) for each in registries))
    assert [len(result.artifacts) for result in results] == [3, 3]
    assert places.asked == 2


async def test_the_event_loop_goes_on_while_a_chart_is_drawn(bench: Bench) -> None:
    turns = 0
    done = asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(others())
        await ChartRenderer().draw(vega_lite(data_of()))
        done.set()
    assert turns > 100
    assert bench.store.saved == []


def test_years_along_the_axis_have_no_thousands_and_series_have_colours() -> None:
    data = data_of(x="year", mark="line", color="kind")
    encoding = vega_lite(data)["encoding"]
    assert encoding["x"]["axis"] == {"format": "d"}
    assert encoding["color"]["title"] == "kind"
    assert data.series == ("web", "shop")


def test_points_may_lie_between_whole_numbers() -> None:
    table = pa.table({"x": [0.5, 1.5], "y": [1, 2]})
    spec = vega_lite(data_of(table, x="x", y="y", mark="point"))
    assert spec["data"]["values"] == [{"x": 0.5, "y": 1.0}, {"x": 1.5, "y": 2.0}]
    assert spec["mark"] == {"type": "point", "filled": True, "opacity": 0.7}


def test_an_aggregate_is_named_on_the_axis() -> None:
    assert vega_lite(data_of(aggregate="mean"))["encoding"]["y"]["title"] == "mean of amount"


def test_values_of_any_type_may_stand_along_the_axis() -> None:
    table = pa.table({"x": pa.array([True, False, None]), "y": [1, 2, 3], "b": [b"a", b"b", b"c"]})
    assert [point.x for point in data_of(table, x="x", y="y").points] == ["true", "false"]
    assert data_of(table, x="b", y="y").points[0].x == "0x61"


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_numbers_too_large_to_add_are_told(aggregate: str) -> None:
    table = pa.table({"x": ["a", "a"], "y": [1.7e308, 1.7e308]})
    with pytest.raises(ToolError, match="too large to draw"):
        data_of(table, x="x", y="y", aggregate=aggregate)


def test_a_sparkline_of_the_largest_numbers_there_are_is_drawn() -> None:
    table = pa.table({"x": range(100), "y": [1.7e308, -1.7e308] * 50})
    assert chart_text(data_of(table, x="x", y="y", mark="line"), width=50)


def test_each_series_has_its_own_sparkline() -> None:
    table = pa.table(
        {"x": [*range(15)] * 2, "y": [*range(15), *([7] * 15)], "s": ["up"] * 15 + ["flat"] * 15}
    )
    lines = chart_text(data_of(table, mark="area", x="x", y="y", color="s")).splitlines()
    assert lines[0] == "up: 0 to 14"
    assert lines[3] == "flat: 7 to 7"
    assert lines[4] == "▁" * 15


def test_midnight_is_a_day() -> None:
    table = pa.table({"x": ["2024-05-01T00:00:00", "2024-05-02T10:00:00"], "y": [1, 2]})
    lines = chart_text(data_of(table, x="x", y="y")).splitlines()
    assert lines[0].startswith("2024-05-01 ")
    assert lines[1].startswith("2024-05-02T10:00:00 ")


def test_wide_characters_keep_the_bars_aligned() -> None:
    table = pa.table({"x": ["東京", "Oslo"], "y": [1, 1]})
    first, second = chart_text(data_of(table, x="x", y="y"), width=40).splitlines()
    assert (first.index("█"), second.index("█")) == (3, 5)  # two characters take four columns


async def test_the_clock_of_the_machine_does_not_move_the_days(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    table = pa.table({"x": [date(2024, 5, 1), date(2024, 5, 2)], "y": [1, 2]})
    drawing = await ChartRenderer().draw(vega_lite(data_of(table, x="x", y="y", mark="line")))
    assert b"May 01, 2024" in drawing.svg
    assert b"Apr 30, 2024" not in drawing.svg


def test_without_a_database_there_is_no_such_tool() -> None:
    assert ChartTool.create(Bench([]).services) is None
