"""The command line of the scripted model server: what `python -m databot.testing.model_server` takes."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databot.testing.model_wire import Answer, Answerer, Say
from databot.types.chat import ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to serve."""

    port: int
    key: str | None
    models: tuple[str, ...]
    latency_s: float
    answer: Answerer


def parse(argv: list[str] | None = None) -> Options:
    """The options of `argv`; exits with 2 when they are wrong, as programs do."""
    parser = argparse.ArgumentParser(prog="python -m databot.testing.model_server")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before the first byte")
    parser.add_argument("--drip-ms", type=float, default=0.0, help="between streamed tokens")
    parser.add_argument("--reply", default="OK", help="the text of every answer")
    parser.add_argument("--tokens", type=int, default=0, help="answer that many words instead")
    parser.add_argument("--call", metavar="NAME=JSON", help="first ask for this tool, then answer")
    parser.add_argument("--key", help="refuse every other API key")
    parser.add_argument("--model", action="append", help="a model name to list; repeatable")
    given = parser.parse_args(argv)
    text = " ".join(f"word{n}" for n in range(given.tokens)) if given.tokens else given.reply
    return Options(
        port=given.port,
        key=given.key,
        models=tuple(given.model or ("test-model",)),
        latency_s=given.latency_ms / 1000,
        answer=answerer(Say(text=text, drip_s=given.drip_ms / 1000), given.call),
    )


def answerer(reply: Say, call: str | None) -> Answerer:
    """The reply; with `call`, that tool first whenever tools are offered and none has answered yet."""
    if call is None:
        return lambda _: reply
    name, _, arguments = call.partition("=")
    asking = Say(calls=(ToolCall(id="call_1", name=name, arguments=arguments or "{}"),))

    def answer(body: Mapping[str, Any]) -> Answer:
        last = (body.get("messages") or [{}])[-1]
        return asking if body.get("tools") and last.get("role") == "user" else reply

    return answer
