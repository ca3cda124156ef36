"""Background tasks: one that fails is told and harms no other; all of them end with their owner."""

import asyncio
import logging

import pytest

from databot.core.supervisor import Supervisor


async def fail() -> None:
    raise ZeroDivisionError


async def test_a_task_that_fails_is_logged_by_its_name_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    going = asyncio.Event()

    async def go_on() -> None:
        going.set()

    with caplog.at_level(logging.ERROR):
        async with asyncio.timeout(5), Supervisor() as supervisor:
            failed = supervisor.spawn(fail(), name="the index")
            await asyncio.wait([failed])
            supervisor.spawn(go_on(), name="the sweeper")
            await going.wait()
    assert [record.getMessage() for record in caplog.records] == [
        "background task the index failed"
    ]


async def test_leaving_the_supervisor_ends_what_still_runs_also_what_starts_meanwhile() -> None:
    ended: list[str] = []
    supervisor = Supervisor()

    async def run(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)
            if name == "first":
                supervisor.spawn(run("second"), name="second")
                await asyncio.sleep(0)

    async with asyncio.timeout(5), supervisor:
        supervisor.spawn(run("first"), name="first")
        await asyncio.sleep(0)
    assert ended == ["first", "second"]
