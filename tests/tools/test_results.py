"""A result becomes a bounded preview, an artifact where it is too large, evidence and figures."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.tools.cells import cell, one_line_json, plain
from databot.tools.figures import MAX_FIGURES, figures_of
from databot.tools.results import PREVIEW_CHARS, build_result, preview_of
from databot.types.evidence import Evidence
from tests.tools.kit import AWKWARD, CONTEXT, Bench, FixedSource, result


async def shown(given_table: pa.Table, *, truncated: bool = False) -> tuple[Bench, str, Evidence]:
    source = FixedSource(given_table, truncated=truncated)
    bench = Bench([source])
    built = await build_result(
        result(given_table, sql="SELECT 1", truncated=truncated),
        source,
        CONTEXT,
        artifacts=bench.store,
        clock=bench.clock,
    )
    return bench, built.content, built.evidence[0]


async def test_a_small_result_is_one_line_of_json_and_needs_no_artifact() -> None:
    bench, content, _ = await shown(pa.table({"name": ["Ada", None], "n": [1, 2]}))
    assert json.loads(content) == {
        "columns": ["name", "n"],
        "rows": [["Ada", 1], [None, 2]],
        "row_count": 2,
        "truncated": False,
        "artifact_id": None,
        "connector": "shop",
        "dialect": "sqlite",
    }
    assert bench.store.saved == []


async def test_a_large_result_is_kept_whole_and_the_model_gets_a_preview_and_the_handle() -> None:
    bench, content, evidence = await shown(pa.table({"n": list(range(200))}))
    first, *said = content.splitlines()
    document = json.loads(first)
    assert document["rows"] == [[n] for n in range(50)]
    assert (document["row_count"], document["artifact_id"]) == (200, bench.artifact.ref.id)
    assert evidence.artifact_id == bench.artifact.ref.id
    assert "the first 50 of 200 rows" in said[0]
    assert "holds all 200 rows" in said[1]
    assert "n int64" in said[1]
    lines = bench.artifact.data.decode().splitlines()
    assert lines == ["n", *map(str, range(200))]
    assert bench.artifact.conversation == CONTEXT.conversation


async def test_a_cut_result_is_told_as_cut_in_words_and_in_the_evidence() -> None:
    _, content, evidence = await shown(pa.table({"n": [1, 2]}), truncated=True)
    first, said = content.splitlines()
    assert json.loads(first)["truncated"] is True
    assert "the database has more" in said
    assert "aggregate in SQL" in said
    assert evidence.truncated is True


async def test_the_evidence_says_what_ran_where_and_when() -> None:
    bench, _, evidence = await shown(pa.table({"n": list(range(9))}))
    assert evidence == Evidence(
        connector="shop",
        statement="SELECT 1",
        rows=9,
        truncated=False,
        elapsed_ms=1.5,
        as_of=bench.clock.now().isoformat(),
        columns=("n",),
        sample=((0,), (1,), (2,), (3,), (4,)),
    )
    assert evidence.as_of.endswith("+00:00")


async def test_values_without_a_plain_json_form_are_exact_or_told() -> None:
    _, content, evidence = await shown(AWKWARD)
    first = content.split("\n")[0]
    assert first == content.splitlines()[0]
    names, rows = json.loads(first)["columns"], json.loads(first)["rows"]
    assert dict(zip(names, rows[0], strict=True)) == {
        "big": str(2**60),
        "money": "12345678901234567890.12",
        "ratio": None,
        "when": "2023-11-14T22:13:20+00:00",
        "nanos": "1970-01-01 00:00:00.000001001",
        "data": "0x00ff",
        "tags": ["a", None],
        "text": "two\nlines\u2028three",
        "flag": True,
    }
    assert rows[1][5].endswith("(100 bytes)")
    assert (rows[1][0], rows[1][7]) == (None, "")
    json.dumps(evidence.sample, allow_nan=False)


@pytest.mark.parametrize(
    ("rows", "columns", "length"),
    [(1, 1, 100_000), (50, 4, 300), (60, 200, 5), (2, 5_000, 40), (1_000, 1, 1), (0, 3, 0)],
)
def test_a_preview_is_always_bounded_and_says_when_something_is_left_out(
    rows: int, columns: int, length: int
) -> None:
    given_table = pa.table({f"column_{n}": ["x" * length] * rows for n in range(columns)})
    preview = preview_of(given_table)
    size = sum(map(len, preview.rows)) + len(one_line_json(list(preview.columns)))
    assert size <= PREVIEW_CHARS
    assert bool(preview.rows) is bool(rows)
    assert preview.complete is (rows * columns * length < 2_000 and rows <= 50)


def test_long_cells_are_shown_longer_where_there_is_room() -> None:
    (row,) = preview_of(pa.table({"text": ["y" * 1_500]})).rows
    assert json.loads(row) == ["y" * 1_500]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.decimals()
        | st.datetimes(timezones=st.none() | st.timezones())
        | st.timedeltas(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
)
def test_any_value_is_json_on_one_line(value: object) -> None:
    text = one_line_json(plain(value))
    assert len(text.splitlines()) == 1
    json.loads(text, parse_constant=pytest.fail)
    short = cell(value, 40)
    assert len(short if isinstance(short, str) else one_line_json(short)) <= 60


def test_an_integer_beyond_2_to_the_53_is_text_and_one_below_is_a_number() -> None:
    assert (plain(2**53), plain(2**53 + 1)) == (2**53, str(2**53 + 1))


def test_figures_are_every_number_the_row_count_totals_years_and_those_of_the_statement() -> None:
    table = pa.table(
        {
            "n": [10, 20],
            "money": [Decimal("1.5"), Decimal("2.5")],
            "text": ["7.25", "not a number"],
            "day": pa.array([0, 20_000], pa.date32()),
            "month": ["2031-04", "2032-05"],
            "flag": [True, False],
        }
    )
    found = figures_of(result(table, sql="SELECT t1.x FROM t1 WHERE amount > 100 AND y < 0.5"))
    assert set(found) == {2, 10, 20, 30, 1.5, 2.5, 4, 7.25, 1970, 2024, 2031, 2032, 100, 0.5}


def test_a_cut_result_gives_no_totals() -> None:
    assert set(figures_of(result(pa.table({"n": [10, 20]}), truncated=True))) == {2, 10, 20}


def test_figures_are_bounded_and_finite() -> None:
    table = pa.table(
        {"n": pa.array(range(MAX_FIGURES * 2)), "nan": [float("nan")] * MAX_FIGURES * 2}
    )
    found = figures_of(result(table))
    assert len(found) == MAX_FIGURES
    assert found[0] == MAX_FIGURES * 2


def test_a_single_column_too_wide_to_show_keeps_its_name_short() -> None:
    preview = preview_of(pa.table({"x" * 20_000: ["y" * 20_000]}))
    assert len(one_line_json(list(preview.columns))) < 300
    assert not preview.complete


async def test_left_out_columns_are_told() -> None:
    _, content, _ = await shown(pa.table({f"column_{n}": ["x" * 40] for n in range(2_000)}))
    assert "of 2,000 columns" in content
    assert len(content) < 10_000


def test_values_python_cannot_hold_are_still_shown() -> None:
    table = pa.table(
        {
            "far": pa.array([2**62], pa.timestamp("us")),
            "nested": pa.array([[1]], pa.list_(pa.timestamp("ns"))),
        }
    )
    (row,) = preview_of(table).rows
    far, nested = json.loads(row)
    assert "out of range" in far
    assert nested == "<list<item: timestamp[ns]>>"
