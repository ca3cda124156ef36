"""Trying again, and trying another model: what stands between a turn and a vendor's bad minute.

Only passing failures (`ProviderUnavailable`) are tried again, and never once text has been streamed: the reader has
seen it. A wrong key, an unknown model or a prompt that is too long fails at once, with its own message.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import perf_counter

from databot.providers.base import LLMProvider
from databot.providers.streams import ChunkStream, fold
from databot.types.chat import ChatChunk, ChatReply, ChatRequest
from databot.types.clock import Clock
from databot.types.closing import closing
from databot.types.errors import ProviderUnavailable

log = logging.getLogger(__name__)
OPENS_AFTER = 3
OPEN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a passing failure is borne, in one model call.

    `attempts` for each model; waits double from `first_wait_s` up to `longest_wait_s`, or are what the vendor asked
    for; when it asks for more than `longest_wait_s` the next model is tried instead. No wait begins that would end
    after `deadline_s` from the start of the call.
    """

    attempts: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 20.0
    deadline_s: float = 90.0

    def wait_s(self, attempt: int, error: ProviderUnavailable) -> float | None:
        """Seconds to wait after that many failures; `None` when this model has had its chances."""
        if attempt >= self.attempts:
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= self.longest_wait_s else None
        return min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model at a provider; `model` is its name on that provider's wire."""

    provider: LLMProvider
    model: str


class Breaker:
    """Whether a model is worth asking: three failed calls in a row close it off for a minute.

    After the minute, or when nothing else is left, one call at a time may find out whether it is back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._closed_until = 0.0
        self._probing = False

    def remaining_s(self) -> float:
        """Seconds until it may be asked again; 0 when it may be asked now."""
        if self._failures < OPENS_AFTER:
            return 0.0
        return max(0.0, self._closed_until - self._clock.monotonic())

    def enter(self) -> bool:
        """Begin a call; false when one is already probing a model that has been failing."""
        if self._failures < OPENS_AFTER:
            return True
        if self._probing:
            return False
        self._probing = True
        return True

    def leave(self, *, failed: bool | None) -> None:
        """End a call; `None` when it says nothing about the model's health."""
        self._probing = False
        if failed:
            self._failures += 1
            self._closed_until = self._clock.monotonic() + OPEN_S
        elif failed is False:
            self._failures = 0


class FallbackProvider(LLMProvider):
    """The first of several models that answers.

    `request.model` is replaced by each candidate's own. Raises what the last model raised, or `ProviderUnavailable`
    with the seconds to wait when every model has been failing and one call is already probing.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        clock: Clock,
        patience: Patience | None = None,
    ) -> None:
        self.name = candidates[0].provider.name
        self._candidates = tuple((candidate, Breaker(clock)) for candidate in candidates)
        self._clock = clock
        self._patience = patience or Patience()

    async def chat(self, request: ChatRequest) -> ChatReply:
        return await fold(self.name, self._answer(request, whole=True))

    def chat_stream(self, request: ChatRequest) -> ChunkStream:
        return self._answer(request, whole=False)

    def warm(self) -> None:
        for candidate, _ in self._candidates:
            candidate.provider.warm()

    async def aclose(self) -> None:
        for candidate, _ in self._candidates:
            await candidate.provider.aclose()

    async def _answer(self, request: ChatRequest, *, whole: bool) -> ChunkStream:
        deadline = self._clock.monotonic() + self._patience.deadline_s
        last: ProviderUnavailable | None = None
        for candidate, breaker in self._in_order():
            if not breaker.enter():
                continue
            asked = replace(request, model=candidate.model)
            calls = self._patiently(candidate.provider, asked, deadline, whole=whole)
            failed: bool | None = None
            begun = False
            try:
                async with aclosing(calls):
                    async for chunk in calls:
                        begun = True
                        failed = False
                        yield chunk
                return
            except ProviderUnavailable as error:
                failed = True
                if begun:
                    raise
                last = error
            finally:
                breaker.leave(failed=failed)
        raise last or self._all_failing()

    async def _patiently(
        self, provider: LLMProvider, request: ChatRequest, deadline: float, *, whole: bool
    ) -> ChunkStream:
        """One model's answer, tried again while nothing of it has been seen."""
        attempt = 0
        while True:
            attempt += 1
            begun, chunk, since = False, None, perf_counter()
            try:
                if whole:
                    chunk = await provider.chat(request)
                    yield chunk
                else:
                    async with closing(provider.chat_stream(request)) as stream:
                        async for chunk in stream:
                            begun = True
                            yield chunk
                note(request.model, chunk, perf_counter() - since)
                return
            except ProviderUnavailable as error:
                wait = self._patience.wait_s(attempt, error)
                if begun or wait is None or self._clock.monotonic() + wait > deadline:
                    raise
                log.info("model %s: %s; asked again in %.1f s", request.model, error.type, wait)
            await self._clock.sleep(wait)

    def _in_order(self) -> Iterator[tuple[Candidate, Breaker]]:
        """Healthy models as configured, then, when it comes to that, the one that may be back soonest."""
        healthy = [pair for pair in self._candidates if pair[1].remaining_s() == 0]
        yield from healthy
        if not healthy:
            yield min(self._candidates, key=lambda pair: pair[1].remaining_s())

    def _all_failing(self) -> ProviderUnavailable:
        wait = min(breaker.remaining_s() for _, breaker in self._candidates)
        return ProviderUnavailable(
            f"{self.name} has been failing and is being tried by another call",
            hint="try again in a moment, or set llm.fallbacks",
            retry_after_s=max(1.0, wait),
        )


def note(model: str, last: ChatChunk | None, took_s: float) -> None:
    """One line a model call at `debug`: what it cost, not what was said."""
    if isinstance(last, ChatReply) and log.isEnabledFor(logging.DEBUG):
        fields = {
            "model": model,
            "input_tokens": last.usage.input_tokens,
            "output_tokens": last.usage.output_tokens,
            "ms": round(took_s * 1000, 1),
        }
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        log.debug("model call: %s", told, extra={"fields": fields})
