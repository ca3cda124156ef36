"""Reads that are asked together: none waits for a long one among them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from threading import Event

import pytest

from databot.storage.database import Query, Row
from databot.storage.sqlite.database import SqliteDatabase
from databot.types.errors import StorageError, StorageUnavailable

LIMIT_S = 30.0
ONE = Query(sql="SELECT 1", names=())


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(tmp_path / "databot.db", exclusive=True)
    async with asyncio.timeout(LIMIT_S):
        yield opened
    await opened.aclose()


def first(rows: Sequence[Row]) -> int:
    return rows[0][0]


async def test_reads_before_and_behind_a_long_one_are_answered_while_it_goes_on(
    database: SqliteDatabase,
) -> None:
    enough = Event()

    def long(rows: Sequence[Row]) -> int:
        assert enough.wait(LIMIT_S)
        return first(rows)

    asked = [
        asyncio.ensure_future(database.read(ONE, {}, decode))
        for decode in (first, long, first, first)
    ]
    quick = [asked[0], *asked[2:]]
    assert await asyncio.gather(*quick) == [1, 1, 1]
    assert not asked[1].done()
    enough.set()
    assert await asked[1] == 1


async def test_a_read_that_fails_fails_alone(database: SqliteDatabase) -> None:
    wrong = Query(sql="SELECT nothing", names=())
    queries = (ONE, wrong, ONE)
    answers = await asyncio.gather(
        *(database.read(query, {}, first) for query in queries), return_exceptions=True
    )
    assert answers[::2] == [1, 1]
    assert isinstance(answers[1], StorageError)


async def test_reads_taken_before_closing_are_answered_and_later_ones_refused(
    database: SqliteDatabase,
) -> None:
    asked = [asyncio.ensure_future(database.read(ONE, {}, first)) for _ in range(100)]
    await asyncio.sleep(0)
    await database.aclose()
    assert await asyncio.gather(*asked) == [1] * 100
    with pytest.raises(StorageUnavailable, match="closed"):
        await database.read(ONE, {}, first)
