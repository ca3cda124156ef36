"""`databot jobs`, on a store with jobs in it."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from databot.jobs.base import NewJob
from databot.storage.open import open_database, open_store
from databot.storage.work import WorkStore, make_work_store
from databot.types.clock import RandomIds, SystemClock
from tests.cli.conftest import Run
from tests.storage.parts import message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text("data_dir: ./data\nllm: {model: offline}\n", "utf-8")
    return tmp_path / "data"


def in_store(folder: Path, work: Callable[[WorkStore], Awaitable[str]]) -> str:
    folder.mkdir(exist_ok=True)

    async def session() -> str:
        database = await open_database(f"sqlite:///{folder}/databot.db", exclusive=False)
        try:
            return await work(make_work_store(database, folder, SystemClock(), RandomIds()))
        finally:
            await database.aclose()

    return asyncio.run(session())


async def queued(work: WorkStore) -> str:
    return (await work.jobs.enqueue(NewJob(kind="count", tenant_id="acme"))).id


async def dead(work: WorkStore) -> str:
    await queued(work)
    job = await work.claims.claim(["count"], "ada")
    assert job is not None
    await work.claims.heartbeat(job, 0.25)
    await work.claims.fail(job, "the warehouse is away", "dead")
    return job.id


def test_a_store_without_jobs_has_none_to_list(databot: Run, folder: Path) -> None:
    assert json.loads(databot("jobs", "list", "--json").stdout) == []


def test_jobs_are_listed_with_what_went_wrong(databot: Run, folder: Path) -> None:
    job_id = in_store(folder, dead)
    other = in_store(folder, queued)
    (first, second) = json.loads(databot("jobs", "list", "--json").stdout)
    assert (first["id"], first["state"], first["detail"]) == (other, "queued", None)
    assert (second["id"], second["state"], second["attempts"]) == (job_id, "dead", 1)
    assert second["detail"] == "the warehouse is away"
    assert job_id in databot("jobs", "list", "--state", "dead").stdout
    assert job_id not in databot("jobs", "list", "--state", "queued").stdout
    assert other not in databot("jobs", "list", "--tenant", "umbrella").stdout
    assert other in databot("jobs", "list", "--tenant", "acme").stdout


def test_a_dead_job_is_retried_and_a_queued_one_cancelled(databot: Run, folder: Path) -> None:
    job_id = in_store(folder, dead)
    done = databot("jobs", "retry", job_id)
    assert (done.returncode, done.stdout) == (0, f"{job_id} is queued again\n")
    refused = databot("jobs", "retry", job_id)
    assert refused.returncode == 1
    assert f"the job {job_id} is queued" in refused.stderr
    assert databot("jobs", "cancel", job_id).returncode == 0
    (job,) = json.loads(databot("jobs", "list", "--json").stdout)
    assert job["state"] == "cancelled"
    assert databot("jobs", "retry", job_id).returncode == 1


def test_a_turn_that_was_given_up_is_listed_and_retried(databot: Run, folder: Path) -> None:
    in_store(folder, queued)

    async def given_up() -> None:
        place = f"sqlite:///{folder}/databot.db"
        async with open_store(place, folder, SystemClock(), RandomIds(), exclusive=False) as store:
            await store.inbox.ingest("turn_1", message("what ends every worker"))

    asyncio.run(given_up())
    with closing(sqlite3.connect(folder / "databot.db")) as connection, connection:
        connection.execute("UPDATE inbox SET state = 'dead', ended_at = accepted_at")
    (turn,) = json.loads(databot("jobs", "list", "--state", "dead", "--json").stdout)
    assert (turn["id"], turn["kind"], turn["tenant"]) == ("turn_1", "turn", "default")
    assert databot("jobs", "retry", "turn_1").returncode == 0
    assert json.loads(databot("jobs", "list", "--state", "dead", "--json").stdout) == []
    assert databot("jobs", "retry", "turn_1").returncode == 1


def test_a_job_nobody_knows_is_one_clear_line(databot: Run, folder: Path) -> None:
    for command in ("retry", "cancel"):
        refused = databot("jobs", command, "job_x")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "no job named 'job_x'" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert databot("jobs", "list", "--state", "odd").returncode == 2
