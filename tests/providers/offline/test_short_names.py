"""Names cut to their consonants: read as what they stand for, and never guessed at silently."""

from collections.abc import Iterator

import pytest

from tests.providers.offline.reading import table
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
