"""Steps: an analysis as a generator that asks for tool results, and its replay over the calls already made.

The analyst is written as if tools answered at once. `advance` feeds it the results that stand in the transcript; the
first one that is missing is the next tool call. So it needs no memory of its own, and goes on where another process
stopped.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databot.providers.offline.results import Rows, outcome
from databot.providers.offline.transcript import Exchange, call_key

MAX_ASKS = 64
"""A bound of one replay; an honest analysis needs a handful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A tool call that is wanted. `settled` means that a result of an earlier exchange will do."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    settled: bool = False


Analysis = Generator[Ask, str, str]
"""Yields what it asks for, is sent each result's text, returns the answer."""


def advance(analysis: Analysis, exchanges: Sequence[Exchange]) -> Ask | str:
    """The next call to make, or the answer."""
    try:
        ask = next(analysis)
        for _ in range(MAX_ASKS):
            known = _known(ask, exchanges)
            if known is None:
                return ask
            ask = analysis.send(known)
    except StopIteration as done:
        return str(done.value)
    return "I asked for too many things at once and stopped. Please ask in a simpler way."


def _known(ask: Ask, exchanges: Sequence[Exchange]) -> str | None:
    key = call_key(ask.tool, ask.arguments)
    now = exchanges[-1].results.get(key)
    if now is not None or not ask.settled:
        return now
    earlier = (one.results[key] for one in reversed(exchanges) if key in one.results)
    return next((text for text in earlier if isinstance(outcome(text), Rows)), None)
