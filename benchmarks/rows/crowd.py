"""Very many conversations at once in one process, each with an answer that is streamed for twenty seconds.

The databot is this process, on one core, with a reader for each turn inside it; the model is another process on the
other core and begins every answer at once. So what passes before the first word is databot's: the message kept, its
turn claimed, the prompt made, the model asked, the word told. Each conversation begins at a moment of its own, and has
a second turn when the first has ended.

An answer comes in four pieces a second, each of some tokens, as vendors send them under load. Twenty pieces a second
each would be 20,000 reads of a socket a second altogether, which is more than a core does with aiohttp alone
(`llm_stream`, a token every 5 ms): then every word comes late, though none is lost.
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figure, Target
from benchmarks.measure import Scale, percentile
from benchmarks.processes import CLIENT, SERVER, pin, running
from benchmarks.tokens import words
from databot.app.daemon import Databot
from databot.app.gateway import calm_collector
from databot.testing.running import running_databot
from databot.types.errors import DatabotError
from databot.types.events import TextDelta, TurnFinished

EVERY_MS = 250
TURNS = 2
FILES = 8_192
"""A socket for each model call, and the house's own."""


@dataclass(slots=True)
class Seen:
    """What the readers saw: milliseconds to the first word, answers not told word for word, how many ran at once."""

    first_ms: list[float] = field(default_factory=list[float])
    dropped: int = 0
    running: int = 0
    most: int = 0


async def crowd(scale: Scale) -> Sequence[Figure]:
    """How much later than alone a first word comes among a thousand streams, and what is left out."""
    people, tokens = scale.count(1_000, 40), scale.count(80, 8)
    answer = "".join(words(tokens))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="databot-bench-"))
        arguments = ["--tokens", str(tokens), "--every-ms", str(EVERY_MS)]
        model = stack.enter_context(
            running(["-m", "benchmarks.tokens", *arguments], ready="ready", core=CLIENT)
        )
        pin(SERVER)
        llm = {"model": "openai/test-model", "api_base": model.url, "api_key": "a-key"}
        settings = {"llm": llm, "agents": {"router": "rules"}}
        async with running_databot(settings, data_dir=Path(folder), exclusive=True) as bot:
            alone, seen = Seen(), Seen()
            await turn(bot, "first", answer, Seen())
            calm_collector()  # as the gateway does
            async with asyncio.TaskGroup() as group:  # a second apart, which is alone enough
                for number in range(scale.count(5, 2)):
                    group.create_task(person(bot, f"alone{number}", answer, (number, alone)))
            used = time.process_time()
            begun = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for number in range(people):
                    pause = number / people * tokens * EVERY_MS / 1000
                    group.create_task(person(bot, f"p{number}", answer, (pause, seen)))
            busy = (time.process_time() - used) / (time.perf_counter() - begun)
    return figures(alone, seen, busy)


async def person(bot: Databot, session: str, answer: str, given: tuple[float, Seen]) -> None:
    """One conversation, begun after a pause."""
    pause, seen = given
    await asyncio.sleep(pause)
    for _ in range(TURNS):
        await turn(bot, session, answer, seen)


async def turn(bot: Databot, session: str, answer: str, seen: Seen) -> None:
    """Ask, and read every word."""
    told, reply, begun = "", "", time.perf_counter()
    seen.running += 1
    seen.most = max(seen.most, seen.running)
    try:
        async for event in bot.stream("How many orders were there?", session_id=session):
            if isinstance(event, TextDelta):
                if not told:
                    seen.first_ms.append((time.perf_counter() - begun) * 1000)
                told += event.text
            elif isinstance(event, TurnFinished):
                reply = event.message.content
    except DatabotError:
        pass  # counted: nothing of it is the answer
    seen.running -= 1
    seen.dropped += told != answer or reply.strip() != answer.strip()


def figures(alone: Seen, seen: Seen, busy: float) -> list[Figure]:
    p50, p95 = (percentile(seen.first_ms or [0.0], share) for share in (0.5, 0.95))
    base = percentile(alone.first_ms, 0.5)
    return [
        Figure(
            row="crowd",
            what=f"first word, p95, {seen.most:,} streams at once",
            value=p95,
            unit="ms",
            baseline=base,
            against="alone",
            ratio=p95 / base,
            note=f"p50 {p50:.0f} ms",
        ),
        Figure(
            row="crowd",
            what="added by the others, p95",
            value=max(0.0, p95 - base),
            unit="ms",
            target=Target(of="value", most=50),
            note=f"{busy:.0%} of a core",
        ),
        Figure(
            row="crowd",
            what=f"answers not told whole, of {len(seen.first_ms):,}",
            value=float(seen.dropped),
            unit="",
            target=Target(of="value", most=0),
        ),
    ]
