"""What the model of these tests says: its answer follows from the message alone, whoever asks and however often."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from databot.testing.model_wire import Say
from databot.types.chat import ToolCall

MESSAGE = re.compile(r"m\d+-\d+")
COUNT = {"sql": "SELECT COUNT(*) AS n FROM orders"}
STEPS = 3
LATENCY_S = 0.04
ROLES = ["user", *["assistant", "tool"] * STEPS, "assistant"]
"""Of a turn's messages, when it was answered."""


def reply_to(message: str) -> str:
    return f"That was {message}."


def answer(body: Mapping[str, Any]) -> Say:
    """A tool that reads, one with a key, a plain one, and then the reply."""
    messages = body["messages"]
    question = max(n for n, message in enumerate(messages) if message["role"] == "user")
    found = MESSAGE.search(str(messages[question]["content"]))
    assert found, "no message of these tests"
    message = found.group()
    steps = sum(item["role"] == "tool" for item in messages[question:])
    if steps == STEPS:
        return Say(text=reply_to(message), latency_s=LATENCY_S)
    name = ("sql", "keep", "mark")[steps]
    arguments = COUNT if name == "sql" else {"message": message}
    call = ToolCall(id=f"{name}-{message}", name=name, arguments=orjson.dumps(arguments).decode())
    return Say(calls=(call,), latency_s=LATENCY_S)
