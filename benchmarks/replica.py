"""One replica for a benchmark: a whole databot without doors, with a scripted model inside, that does turns when told to.

    python -m benchmarks.replica '{"settings": …}'

says "ready", then reads jobs from stdin, one a line (JSON: `tag`, `sessions`, `turns`), and answers each with the
seconds it took. Without `settings` it keeps everything in memory: the same loop, and nothing durable.
"""

import asyncio
import sys
import time
from typing import Any

import orjson
import uvloop

from benchmarks.rows.turns import ANSWER, memory_store, scripted
from databot.app.daemon import Databot
from databot.testing.running import running_databot


async def work(bot: Databot, job: dict[str, Any]) -> float:
    """So many turns in each of so many conversations of its own."""

    async def talk(session: int) -> None:
        for _ in range(job["turns"]):
            reply = await bot.ask(
                "How many orders were there?", session_id=f"{job['tag']}.{session}"
            )
            assert reply.content == ANSWER

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for session in range(job["sessions"]):
            group.create_task(talk(session))
    return time.perf_counter() - begun


async def serve(settings: dict[str, Any] | None) -> None:
    """Do jobs until stdin ends."""
    parts: dict[str, Any] = {"store": memory_store()} if settings is None else {}
    async with running_databot(settings, provider=scripted(), exclusive=True, **parts) as bot:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            say(orjson.dumps(await work(bot, orjson.loads(line))).decode())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(orjson.loads(sys.argv[1]).get("settings")))
