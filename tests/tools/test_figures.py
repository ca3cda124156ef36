"""The number check over real results: what a cell holds is never marked, what nothing holds always is."""

from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from databot.connectors.base import QueryResult
from databot.tools.figures import figures_of
from databot.tools.numbers import unsupported_figures
from tests.tools.test_results import result


def marked(answer: str, of: QueryResult, question: str = "") -> tuple[str, ...]:
    return unsupported_figures(answer, figures_of(of), question)


def cells(*values: object, name: str = "cell") -> QueryResult:
    return result(pa.table({name: list(values)}))


WORDS = st.text(alphabet="abc XYZ-(/:", max_size=12)
NUMBERS = st.integers(0, 10**9) | st.decimals("0.01", "999999999", places=2)


@st.composite
def written(draw: st.DrawFn) -> str:
    """A number as somebody typed it into a text."""
    number = draw(NUMBERS)
    plain = f"{number:,}"
    unit = draw(st.sampled_from(["", " g", "mm", " kg", " €", "%", " %", "k", " m", "-pack", "x"]))
    ways = [plain, str(number), plain.replace(",", " "), plain.replace(",", "\u202f")]
    european = plain.translate(str.maketrans(",.", ".,"))
    return draw(st.sampled_from([*ways, european])) + unit


@given(st.lists(st.tuples(WORDS, written(), WORDS), min_size=1, max_size=4), st.data())
def test_a_text_of_a_cell_may_be_quoted_whole_or_by_its_number(
    texts: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    table = cells(*(f"{before} {number} {after}" for before, number, after in texts))
    before, number, after = data.draw(st.sampled_from(texts))
    said = data.draw(st.sampled_from([f"{before} {number} {after}", number, f"**{number}**"]))
    assert marked(f"The best is {said}.", table) == ()
    assert marked(f"| {said} | x |", table) == ()


@given(st.floats(-1e12, 1e12, allow_nan=False).filter(lambda value: abs(value) >= 0.01), st.data())
def test_a_number_of_a_cell_may_be_printed_in_any_usual_way(
    value: float, data: st.DataObject
) -> None:
    ways = (",.2f", ".2f", ",.0f", ".0f", ",.1f", ".3f", ".4g", ".2e")
    said = format(value, data.draw(st.sampled_from(ways)))
    assume(float(said.replace(",", "")))
    kept = data.draw(st.sampled_from([value, str(value), Decimal(str(value))]))
    assert marked(f"There are {said} of them.", cells(kept)) == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Tamper 58 mm", "the Tamper 58 mm"),
        ("XR500", "the 500 series"),
        ("2024-05-17 10:00", "17 May 2024, or 2024"),
        ("ab 12 345", "the 345"),
        ("1.5,2.5", "1.5 and 2.5"),
        (timedelta(days=3, hours=2), "3 days and 2 hours"),
        ([1, 250], "1 and 250"),
        ({"size": 250}, "the size 250"),
        (date(2024, 5, 1), "2024 was one, May 1-3 another, and 1-3 May"),
        ("+49 30 1234567", "call 49 30 1234567"),
        (b"\x01", "a byte"),
    ],
)
def test_what_any_kind_of_cell_holds_may_be_said(value: object, said: str) -> None:
    assert marked(said, cells(value)) == ()


def test_texts_kept_as_a_dictionary_and_names_of_columns_count_too() -> None:
    table = pa.table({"sales_2019": pa.array(["a 57"]).dictionary_encode()})
    assert marked("57 in the 2019 column", result(table)) == ()


KNOWN = st.lists(st.integers(0, 10**6), min_size=1, max_size=50)
CONTEXTS = st.sampled_from(
    [
        "There are {} orders.",
        "**{}** in all",
        "| Ada | {} |",
        "| {} | Ada |",
        "- Norway: {}",
        "1. Ada has {}\n2. Bo\n",
        "Revenue was ${}.",
        'The figure is "{}".',
        "Ada,{},Bo",
        "In May 2024 it was {}",
        "top 5: {}",
        "`LIMIT 7` gave {}",
        "    {} are left",
    ]
)


@given(KNOWN, st.integers(20, 10**9), CONTEXTS, st.booleans())
def test_a_figure_that_is_nowhere_is_marked_wherever_it_stands(
    known: list[int], invented: int, context: str, grouped: bool
) -> None:
    table = cells(*known)
    held = {*known, sum(known), len(known)}
    assume(invented not in held)
    printed = f"{invented:,}" if grouped and "," not in context else str(invented)
    (mark,) = marked(context.format(printed), table)
    assert mark.lstrip("$") == printed


@given(st.integers(20, 10**9))
def test_code_quotes_and_the_words_of_the_question_are_no_claims(number: int) -> None:
    table = cells("nothing")
    for text in (
        f"```sql\nSELECT {number}\n```",
        f"  ~~~\n{number}\n~~~",
        f"Use `LIMIT {number}`, or ``a ` {number}``, or `over\n{number}`.",
        f"Like this:\n\n    SELECT {number}\n\nDone.",
        f'I find no “model {number}” here, and no "size {number}".',
    ):
        assert marked(text, table) == (), text
    for question in (
        f"orders over {number}",
        f"order-{number}",
        f"x{number}?",
        f"top {number:,}",
        f"the {number} ones, #{number}",
    ):
        assert marked(f"There are no orders over {number}.", table, question) == (), question


@pytest.mark.parametrize(
    "refusal",
    [
        "That SQL has a mistake. Line 1, Col: 50.",
        "- Show the latest 5 sales\n- The newest 20 visits",
        "The server answered HTTP 503; error 1064; is port 5432 right?",
        "Expected a name at line 3, column 17, position 44.",
    ],
)
def test_where_a_mistake_is_and_what_could_be_asked_are_no_claims(refusal: str) -> None:
    assert unsupported_figures(refusal, (), "") == ()


def test_figures_behind_a_quotation_or_code_that_never_ends_are_still_looked_at() -> None:
    table = cells("nothing")
    assert marked('He said "hello and\nthere are 58 orders', table) == ("58",)
    assert marked("a stray ` tick\n\nand 58 orders, ` again", table) == ("58",)
    assert marked('5" and 58 more 6" tubes', cells(5, 6)) == ("58",)
    assert marked("- an item\n\n    with 58 orders in it", table) == ("58",)


def test_ranks_of_a_table_are_no_claims_and_other_first_cells_are() -> None:
    rows = "| # | who |\n|---|---|\n| 1 | Ada |\n| 2 | Bo |\n"
    assert marked(rows, cells("nothing")) == ()
    assert marked("| id | who |\n|---|---|\n| 58 | Ada |\n", cells("nothing")) == ("58",)
