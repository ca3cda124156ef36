"""What our providers add to a model call: beside bare aiohttp and beside LiteLLM, on the same scripted server.

CPU of this process, the client; the model server runs in another. A stream has 100 tokens.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson

from benchmarks.figures import Figure, at_most
from benchmarks.measure import Case, Scale, cpu_us, interleaved
from benchmarks.processes import CLIENT, SERVER, pin, running
from databot.providers.base import LLMProvider
from databot.providers.litellm import LiteLLMProvider
from databot.providers.make import Plan, make_provider
from databot.providers.select import Wanted
from databot.types.chat import ChatMessage, ChatRequest
from databot.types.clock import SystemClock

TOKENS = 100
KEY = "a-key"
MODEL = "openai/test-model"
QUESTION = ChatRequest(
    model=MODEL,
    messages=(
        ChatMessage(role="system", content="You are a helpful analyst."),
        ChatMessage(role="user", content="How many orders were there yesterday?"),
    ),
)
MESSAGES = [{"role": each.role, "content": each.content} for each in QUESTION.messages]
BODY = {"model": "test-model", "messages": MESSAGES, "temperature": 0.0, "max_tokens": 2048}
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that can call the model server: ours, and what ours is compared with."""

    url: str
    session: aiohttp.ClientSession
    native: LLMProvider
    through_litellm: LLMProvider
    litellm: Any

    async def raw_call(self) -> None:
        """The least a call can be: the body out, the body in."""
        url = f"{self.url}/chat/completions"
        async with self.session.post(url, data=orjson.dumps(BODY), headers=HEADERS) as response:
            orjson.loads(await response.read())

    async def raw_stream(self) -> None:
        """The least a stream can be: lines, parsed."""
        body = BODY | {"stream": True, "stream_options": {"include_usage": True}}
        url = f"{self.url}/chat/completions"
        async with self.session.post(url, data=orjson.dumps(body), headers=HEADERS) as response:
            async for line in response.content:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    orjson.loads(line[6:])

    async def litellm_call(self) -> None:
        await self.litellm.acompletion(**self._arguments())

    async def litellm_stream(self) -> None:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async for _ in await self.litellm.acompletion(**self._arguments(), **options):
            pass

    def _arguments(self) -> dict[str, Any]:
        limits = {"temperature": 0.0, "max_tokens": 2048}
        where = {"model": MODEL, "api_base": self.url, "api_key": KEY}
        return {**where, **limits, "messages": MESSAGES}


def calls(provider: LLMProvider, request: ChatRequest = QUESTION) -> Call:
    return lambda: provider.chat(request)


def streams(provider: LLMProvider, request: ChatRequest = QUESTION) -> Call:
    async def stream() -> None:
        async for _ in provider.chat_stream(request):
            pass

    return stream


@asynccontextmanager
async def bench(*server: str) -> AsyncGenerator[Bench]:
    """Every client, warm, on one model server."""
    async with AsyncExitStack() as stack:
        model = stack.enter_context(
            running(["-m", "databot.testing.model_server", *server], ready="http", core=SERVER)
        )
        pin(CLIENT)
        plan = Plan(
            wanted=Wanted(model=MODEL, api_base=model.url, api_key=KEY), clock=SystemClock()
        )
        native = await stack.enter_async_context(await make_provider(plan))
        slow = LiteLLMProvider(api_base=model.url, api_key=KEY)
        through_litellm = await stack.enter_async_context(slow)
        await asyncio.to_thread(through_litellm.warm)
        import litellm

        session = await stack.enter_async_context(aiohttp.ClientSession())
        gc.collect()
        gc.freeze()
        yield Bench(
            url=model.url,
            session=session,
            native=native,
            through_litellm=through_litellm,
            litellm=litellm,
        )


def case(call: Call, times: int, at_once: int, per_call: int = 1) -> Case:
    """CPU microseconds of `times` calls, so many at once, for each call or each of its tokens."""

    async def work() -> None:
        left = iter(range(times))

        async def caller() -> None:
            for _ in left:
                await call()

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(caller())

    return lambda: cpu_us(times * per_call, work)


async def llm_call(scale: Scale) -> Sequence[Figure]:
    """A whole answer through the native provider, with its retries and fallbacks around it."""
    async with bench() as at:
        cases = {
            "ours": case(calls(at.native), scale.count(400), 16),
            "raw": case(at.raw_call, scale.count(400), 16),
            "litellm": case(at.litellm_call, scale.count(80, 8), 16),
        }
        found = await interleaved(cases, scale.rounds)
    row = Figure(row="llm_call", what="native call", value=found.value("ours"), unit="us CPU")
    return [
        beside(row, found.value("raw"), "raw aiohttp", found.ratio("ours", "raw"), 2.5),
        beside(row, found.value("litellm"), "litellm", found.ratio("ours", "litellm"), 0.1),
    ]


def beside(row: Figure, baseline: float, against: str, ratio: float, most: float) -> Figure:
    """The row beside one baseline."""
    return replace(row, baseline=baseline, against=against, ratio=ratio, target=at_most(most))


async def llm_litellm(scale: Scale) -> Sequence[Figure]:
    """What our LiteLLM provider adds to LiteLLM."""
    async with bench() as at:
        cases = {
            "ours": case(calls(at.through_litellm), scale.count(100, 8), 16),
            "litellm": case(at.litellm_call, scale.count(100, 8), 16),
        }
        found = await interleaved(cases, scale.rounds)
    row = Figure(row="llm_litellm", what="litellm call", value=found.value("ours"), unit="us CPU")
    return [beside(row, found.value("litellm"), "litellm", found.ratio("ours", "litellm"), 1.1)]


async def llm_stream(scale: Scale) -> Sequence[Figure]:
    """A streamed token: in a burst, and paced as a model paces them."""
    figures: list[Figure] = []
    for what, server, times, at_once in (
        ("token, burst", (), 40, 6),
        ("token, every 5 ms", ("--drip-ms", "5"), 20, 10),
    ):
        async with bench("--tokens", str(TOKENS), *server) as at:
            count, few = scale.count(times, 4), scale.count(times // 2, 2)
            cases = {
                "ours": case(streams(at.native), count, at_once, TOKENS),
                "raw": case(at.raw_stream, count, at_once, TOKENS),
                "litellm": case(at.litellm_stream, few, at_once, TOKENS),
            }
            found = await interleaved(cases, scale.rounds)
        row = Figure(row="llm_stream", what=what, value=found.value("ours"), unit="us CPU")
        figures += [
            beside(row, found.value("raw"), "raw aiohttp", found.ratio("ours", "raw"), 2.0),
            beside(row, found.value("litellm"), "litellm", found.ratio("ours", "litellm"), 0.125),
        ]
    return figures
