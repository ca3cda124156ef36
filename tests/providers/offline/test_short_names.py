"""Names cut to their consonants: read as what they stand for, and never guessed at silently."""

import re
from collections.abc import Iterator

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.schemas import WARD_ROWS, WARD_SCHEMA, made
from tests.providers.offline.world import Source, Talk


@pytest.fixture
def ward() -> Iterator[Source]:
    with made(WARD_SCHEMA, WARD_ROWS) as source:
        yield source


async def test_a_group_is_ordered_though_both_tables_have_its_column(ward: Source) -> None:
    answer = await Talk(sources=[ward]).ask("how many phys by dept")
    assert [row[-1] for row in table(answer)] == ["2", "1"]


async def test_what_a_tool_tells_a_model_is_not_told_to_a_person(ward: Source) -> None:
    error = "SQLite: no such column: x (look at `schema` for the names that exist, and mind the SQL dialect (sqlite)) [bad_request]"
    answer = await Talk(sources=[ward], fail=error).ask("how many pat")
    assert "SQLite: no such column: x" in answer
    assert "schema" not in answer
    assert "bad_request" not in answer


READ = [
    ("how many patients", "3"),
    ("how many visits in total", "4"),
    ("how many visits for Cardiology", "3"),
    ("how many ED visits", "1"),
    ("how many visits have not been discharged yet", "1"),
    ("how many diagnoses of epilepsy", "2"),
    ("how many physicians were hired after 2015", "2"),
    ("total charge in 2025", "350.50"),
    ("average length of stay", "4.00"),
]


@pytest.mark.parametrize(("question", "expected"), READ, ids=[q for q, _ in READ])
async def test_a_name_cut_short_is_read_and_told(
    ward: Source, question: str, expected: str
) -> None:
    answer = await Talk(sources=[ward]).ask(question)
    assert figure(answer) == expected
    assert "Note: I read “" in answer


async def test_words_stand_for_names_in_groups_too(ward: Source) -> None:
    talk = Talk(sources=[ward])
    answer = await talk.ask("top 2 departments by number of visits")
    assert table(answer) == [["Cardiology", "3"], ["Neurology", "1"]]
    answer = await talk.ask("number of visits by visit type")
    assert table(answer) == [["IP", "2"], ["ED", "1"], ["OP", "1"]]


async def test_people_are_known_by_their_names_in_any_spelling(ward: Source) -> None:
    answer = await Talk(sources=[ward]).ask("top 1 patients by number of visits")
    assert answer.startswith("**Anna Abel** has the highest number")


async def test_what_happens_most_often_is_told_by_what_it_is_called(ward: Source) -> None:
    answer = await Talk(sources=[ward]).ask("most common diagnosis")
    assert answer.startswith("**Epilepsy** has the highest number of TBL_DX: **2**")


async def test_a_value_of_another_table_is_not_said_to_be_missing(ward: Source) -> None:
    answer = await Talk(sources=[ward]).ask("how many blorps of epilepsy")
    assert answer.startswith("I do not know “blorps”; “Epilepsy” is a value of TBL_DX.DX_DESC")
    offered = re.search(r"You could ask: “([^”]+)”", answer)
    assert offered
    assert figure(await Talk(sources=[ward]).ask(offered[1])) == "2"


async def test_only_what_is_unknown_is_said_to_be(ward: Source) -> None:
    answer = await Talk(sources=[ward]).ask("how many blorped patients")
    assert answer.startswith("I find no “blorped” in the data")


async def test_a_name_that_is_no_english_is_offered_as_it_is_spelt(ward: Source) -> None:
    answer = await Talk(sources=[ward]).ask("help")
    assert "- TBL_VST_HDR per month" in answer
    for question in re.findall(r"^- (.+)$", answer, re.MULTILINE):
        assert "Questions I can answer here" not in await Talk(sources=[ward]).ask(question)


LIBRARY = """
CREATE TABLE Verlage (VerlagNr INTEGER PRIMARY KEY, Verlagsname TEXT);
CREATE TABLE Buecher (BuchNr INTEGER PRIMARY KEY, Titel TEXT, VerlagNr INTEGER REFERENCES Verlage(VerlagNr),
    Erscheinungsjahr INTEGER, Preis REAL);
CREATE TABLE Leser (LeserNr INTEGER PRIMARY KEY, Vorname TEXT, Nachname TEXT, BuchNr INTEGER REFERENCES Buecher(BuchNr));
"""
BOOKS = {
    "Verlage": [(1, "Hanser"), (2, "Fischer")],
    "Buecher": [(1, "Eins", 1, 2018, 9.5), (1200, "Zwei", 2, 1999, 20.0), (3, "Drei", 2, 2018, 1.5)],
    "Leser": [(1, "Jürgen", "Müller", 1), (2, "Anna", "Weiß", 1), (3, "Max", "O'Brien", 3)],
}  # fmt: skip


@pytest.fixture
def library() -> Iterator[Source]:
    with made(LIBRARY, BOOKS) as source:
        yield source


async def test_umlauts_may_be_written_either_way(library: Source) -> None:
    assert await Talk(sources=[library]).ask("how many Bücher") == "There are **3** Buecher."
    assert figure(await Talk(sources=[library]).ask("how many Leser named Müller")) == "1"


async def test_a_key_names_what_it_is_the_key_of(library: Source) -> None:
    answer = await Talk(sources=[library]).ask("average Preis per Verlag")
    assert table(answer) == [["Fischer", "10.75"], ["Hanser", "9.50"]]
    answer = await Talk(sources=[library]).ask("most expensive Buch")
    assert answer.startswith("**Zwei** has the highest Preis: **20.00**")


async def test_years_and_keys_are_no_quantities(library: Source) -> None:
    answer = await Talk(sources=[library]).ask("average Preis by Erscheinungsjahr")
    assert answer.startswith("**1999** has")
    assert column(answer, 0) == ["1999", "2018"]
    answer = await Talk(sources=[library]).ask("Buecher with Preis over 9")
    assert column(answer, 0) == ["1", "1200"]
    assert column(answer, 3) == ["2018", "1999"]


async def test_what_has_no_price_is_not_ranked_by_something_else(library: Source) -> None:
    answer = await Talk(sources=[library]).ask("most expensive Leser")
    assert answer.startswith("I find no price of “Leser”")


async def test_rows_that_fill_a_page_are_not_said_to_be_more() -> None:
    for count, more in ((20, False), (21, True)):
        with made("CREATE TABLE bits (id INTEGER PRIMARY KEY, n INTEGER)", {"bits": [(n, n) for n in range(count)]}) as source:  # fmt: skip
            answer = await Talk(sources=[source]).ask("show bits")
            assert len(table(answer)) == 20
            assert ("There are more" in answer) is more


async def test_a_series_that_was_cut_is_not_counted() -> None:
    days = [(n, f"2024-01-01T{n % 24:02d}:00:00", n) for n in range(24)]
    hours = [(n, f"{2020 + n // 300:04d}-{n % 12 + 1:02d}-{n % 28 + 1:02d} {n % 24:02d}:00:00", n) for n in range(2400)]  # fmt: skip
    schema = "CREATE TABLE bits (id INTEGER PRIMARY KEY, seen_at TEXT, n INTEGER)"
    with made(schema, {"bits": hours}) as source:
        answer = await Talk(sources=[source]).ask("bits per hour")
        assert "in all" not in answer
        assert "cut at 1,000 rows" in answer
    with made(schema, {"bits": days}) as source:
        answer = await Talk(sources=[source]).ask("latest bit")
        assert "2024-01-01 23:00:00" in answer


FREIGHT = """
CREATE TABLE WHSE (WHSE_CD TEXT PRIMARY KEY, WHSE_NM TEXT, "time of day" TEXT);
CREATE TABLE SHPMT_LOG (SHPMT_NO INTEGER PRIMARY KEY, WHSE_CD TEXT, CRTD_DT INTEGER, EndedAt TEXT, EventType TEXT);
"""
SHIPPED = {
    "WHSE": [("HAM", "Hamburg Hub", "night"), ("JFK", "2026 Dock", "day")],
    "SHPMT_LOG": [
        (1, "HAM", 1_736_553_600, None, "load"),
        (2, "HAM", 1_737_417_600, "2025-02-01", "load"),
        (3, "JFK", 1_769_000_000, "2026-02-01", "scan"),
    ],
}


@pytest.fixture
def freight() -> Iterator[Source]:
    with made(FREIGHT, SHIPPED) as source:
        yield source


async def test_a_column_called_like_another_tables_key_points_at_it(freight: Source) -> None:
    answer = await Talk(sources=[freight]).ask("number of shipments by warehouse")
    assert table(answer) == [["Hamburg Hub", "2"], ["2026 Dock", "1"]]
    assert "joined by name (SHPMT_LOG.WHSE_CD = WHSE.WHSE_CD)" in answer


async def test_a_word_in_a_column_that_is_only_called_a_time_is_found(freight: Source) -> None:
    assert column(await Talk(sources=[freight]).ask("show warehouses at night"), 0) == ["HAM"]


async def test_a_part_of_a_columns_name_is_not_counted_as_its_values(freight: Source) -> None:
    """Nothing here is called an event: there are only types of them."""
    assert "**" not in await Talk(sources=[freight]).ask("how many events not ended")
    assert figure(await Talk(sources=[freight]).ask("how many shipments not ended")) == "1"


async def test_seconds_are_shown_as_times(freight: Source) -> None:
    answer = await Talk(sources=[freight]).ask("latest shipment")
    assert "2026-01-21 12:53:20" in answer


async def test_a_year_within_a_name_is_not_taken_for_a_period(freight: Source) -> None:
    answer = await Talk(sources=[freight]).ask("how many shipments of 2026 Dock")
    assert answer.startswith("I cannot tell the year from the name “2026 Dock”")
    assert figure(await Talk(sources=[freight]).ask('how many shipments of "2026 Dock"')) == "1"
