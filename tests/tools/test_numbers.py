"""The number check marks figures no result holds, and leaves right ones alone however they are printed."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from databot.tools.numbers import unsupported_figures
from databot.tools.printed import figures_in

FIGURES = (57.0, 1234.5, 1_200_000.0, 0.1234, 90_000.0, 1_234_567.0, 2024.0)


def marked(text: str, *figures: float, question: str = "") -> tuple[str, ...]:
    return unsupported_figures(text, figures or FIGURES, question)


@pytest.mark.parametrize(
    "text",
    [
        "There are **57** orders.",
        "Revenue was $1,234.50.",
        "Revenue was 1.234,5 €.",
        "Revenue was 1 234,5.",
        "Revenue was €1'234.5",
        "about $1.2M",
        "1.2 million rows",
        "1.23 million rows",
        "12% of them, 12.3 % to be exact, or 12.34 percent",
        "1,234,567 rows; 1_234_567 rows; 1 234 567 rows; 12,34,567 rows",
        "some 1,230 and over 1,200 and nearly 1,300",
        "90k users, 90K users, 90 thousand users",
        "a drop of -57",
        "57, 57. (57) [57] “57” 57!",
        "the 57-day average",
        "In 2023 and since 2019, from 2001 to 2002",
        "On 2021-05-01 10:00:00, May 3, 2021, 3 May 2021, 03/05/2021 at 14:30 or 9 pm",
        "Q3 2021 and FY2022, the 1990s, the 3rd of them",
        "1. Ada has 57\n2. Bo has 57\n\n- 3) Li has 57",
        "| # | name | n |\n|---|---|---|\n| 1 | Ada | 57 |\n| 2 | Bo | 57 |",
        "The top 5 customers of the last 30 days; step 2",
        "ORD-4711, v2, x86, COVID-19, 3f9ab2, user_17, a1b2, ada17@example.com, 10.0.0.1",
        "550e8400-e29b-41d4-a716-446655440000",
        "see [1] and [12], `LIMIT 99`\n```sql\nSELECT 98\n```",
        "read https://example.com/99?page=98 or [this](page-97)",
        "",
        "no figures at all",
    ],
)
def test_a_supported_figure_is_left_alone(text: str) -> None:
    assert marked(text) == ()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("There are 58 orders.", ("58",)),
        ("There are **58** orders.", ("58",)),
        ("There are 7 orders.", ("7",)),
        ("There are 0 orders.", ("0",)),
        ("Revenue was $1,234.60.", ("$1,234.60",)),
        ("Revenue was 1.1M", ("1.1M",)),
        ("13% of them", ("13%",)),
        ("12.4% of them", ("12.4%",)),
        ("1,234,568 rows", ("1,234,568",)),
        ("about 1,300 users", ("1,300",)),
        ("over 1,300 users", ("1,300",)),
        ("nearly 1,200 users", ("1,200",)),
        ("over 1,000,000,000 rows", ("1,000,000,000",)),
        ("58, 58 and 59", ("58", "59")),
        ("between 10-20", ("10", "20")),
        ("| Ada | 58 |", ("58",)),
        ("1. Ada has 58", ("58",)),
        ("2021 orders", ("2021",)),
        ("it took 12ms", ("12",)),
        ("58 more than 57", ("58",)),
        ("\u221258 degrees", ("\u221258",)),
        ("60.000,00 €", ("60.000,00",)),
        ("the 3 largest are 57", ("3",)),
    ],
)
def test_an_unsupported_figure_is_marked_as_printed(text: str, wrong: tuple[str, ...]) -> None:
    assert marked(text) == wrong


@pytest.mark.parametrize(
    "text",
    [
        "40 is 50 less than 90.",
        "Sales grew by 125%.",
        "44.4% of all",
        "It is 2.25 times as many, or 2.25x.",
        "Together they have 130.",
        "On average 2.25 per order.",
        "100% of them",
    ],
)
def test_a_figure_the_sentence_derives_from_two_others_is_supported(text: str) -> None:
    assert marked(text, 40.0, 90.0) == ()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("There are 50 orders.", "50"),
        ("There are 130 orders.", "130"),
        ("There are 2.25 orders.", "2.25"),
        ("There are 125 orders.", "125"),
    ],
)
def test_a_figure_that_only_could_be_derived_is_marked(text: str, wrong: str) -> None:
    assert marked(text, 40.0, 90.0) == (wrong,)


def test_among_very_many_figures_nothing_counts_as_derived() -> None:
    many = [float(number) for number in range(0, 100_000, 10)]
    assert marked("It is 37 more.", *many) == ("37",)


def test_numbers_of_the_question_may_be_repeated() -> None:
    question = "Which orders over 250 were there in 2021, in the top 7?"
    assert marked("57 orders over 250 in 2021; 7 shown", question=question) == ()
    assert marked("57 orders over 251", question=question) == ("251",)


def test_numbers_of_earlier_results_may_be_quoted_from_their_json() -> None:
    question = 'and by country? {"rows":[["SE",57123,1234.5],["UK",1234,7]],"when":"2021-05-01"}'
    assert marked("57,123 and 1,234.50 and 1,234 and 7 in 2021", 1.0, question=question) == ()
    assert marked("There are 57,124", 1.0, question=question) == ("57,124",)


def test_the_zeros_of_a_grouped_number_are_no_number_of_their_own() -> None:
    assert marked("There are 0 orders.", 1.0, question="orders over 1,000") == ("0",)


def test_a_question_in_thousands_may_be_repeated_in_full() -> None:
    assert (
        marked("250,000 orders over 3,000", 1.0, question="a quarter million, 250k over 3k") == ()
    )


def test_without_any_result_every_figure_is_marked() -> None:
    assert unsupported_figures("There are 3 and 4", (), "") == ("3", "4")


def test_what_is_reported_is_bounded() -> None:
    text = " and ".join(f"{number} rows" for number in range(1_000, 2_000))
    assert len(marked(text, 1.0)) == 20


NUMBERS = st.floats(min_value=0.01, max_value=1e12, allow_nan=False) | st.integers(0, 10**12).map(
    float
)


def scaled(value: float) -> list[str]:
    return [
        f"{value / scale:,.{places}f}{unit}"
        for scale, unit in ((1e3, "k"), (1e6, " million"), (1e9, "B"))
        for places in (1, 2)
        if value >= scale
    ]


@given(NUMBERS, st.data())
def test_a_figure_printed_in_any_usual_way_is_supported(value: float, data: st.DataObject) -> None:
    ways = [
        f"{value:,.2f}",
        f"{value:.2f}",
        f"{value:,.0f}",
        f"{value:.0f}",
        f"${value:,.2f}",
        f"**{value:,.1f}**",
        f"{value:,.2f}".replace(",", "_").replace(".", ",").replace("_", "."),
        f"{value:,.2f}".replace(",", "\u202f"),
        f"-{value:,.2f}",
        f"{value * 100:.2f}%",
        *scaled(value),
    ]
    printed = data.draw(st.sampled_from([way for way in ways if way not in {"0", "-0"}]))
    assert marked(f"The answer is {printed} in all.", value, -1.0) == ()


@given(st.integers(20, 10**9), st.integers(1, 9), st.integers(0, 8))
def test_one_wrong_digit_is_marked(value: int, change: int, place: int) -> None:
    digits = list(str(value))
    at = place % len(digits)
    digits[at] = str((int(digits[at]) + change) % 10)
    wrong = int("".join(digits))
    assume(wrong != value and digits[0] != "0")
    assert marked(f"There are {wrong:,} of them.", float(value)) == (f"{wrong:,}",)


@given(st.text())
def test_any_text_is_checked(text: str) -> None:
    for figure in marked(text):
        assert any(character.isdigit() for character in figure)


@given(st.text(alphabet="0123456789.,'-+%$ kM|*[]()`\n", max_size=80))
def test_any_jumble_of_digits_is_read_without_a_crash(text: str) -> None:
    for printed in figures_in(text):
        assert printed.readings
    marked(text)
