"""Tool calls spelled out in text: how they are asked for, and how they are read back.

Pure. The model is told to write

    Action: sql
    Arguments: {"query": "select 1"}

and to stop; results come back to it as observations. `ReactProvider` uses this where a model has no tool calling.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson

from databot.types.chat import ChatMessage, ChatRequest, ToolCall, ToolSpec

RULES = """\
You can use tools. To use one, write exactly these two lines and stop:

Action: NAME
Arguments: {"argument": "value"}

You are then given its result as an Observation. Never write an Observation yourself. Write several Action and \
Arguments pairs to use several tools at once. When you know the answer, write it as plain text without these words.

The tools:
"""
ACTION = re.compile(r"^[ \t>*#]*Action(?: Name)?[ \t*]*:[ \t*]*`?([\w.-]+)`?[ \t*]*$", re.M | re.I)
ARGUMENTS = re.compile(r"\s*[>*#]*[ \t]*(?:Action )?(?:Arguments?|Input)[ \t*]*:[ \t*]*", re.I)
BARE = re.compile(r"\s*(?:```(?:json)?\s*)?(?=\{)")
LABEL = re.compile(r"^[ \t*]*(?:Thought|Final Answer|Answer)[ \t*]*:[ \t*]*", re.I)
OBSERVATION = re.compile(r"^[ \t*]*Observation\b", re.M | re.I)
SILENCE = re.compile(r"[ \t>*#]*(?:Action(?: Name)?[ \t*]*:|Observation\b)", re.I)
MARKS = ("action", "action name", "observation", "thought", "final answer", "answer")


def spelled_out(request: ChatRequest) -> ChatRequest:
    """The same request for a model without tool calling: tools, calls and results as text."""
    rules = RULES + "\n".join(described(tool) for tool in request.tools)
    return replace(request, messages=tuple(as_text(request.messages, rules)), tools=())


def described(tool: ToolSpec) -> str:
    schema = orjson.dumps(dict(tool.parameters), default=dict).decode()
    return f"- {tool.name}: {tool.description}\n  arguments: {schema}"


def as_text(messages: Sequence[ChatMessage], rules: str) -> Iterator[ChatMessage]:
    """The rules join the first system message; results that follow each other become one message."""
    told = False
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    results: list[str] = []
    for message in messages:
        if message.role == "tool":
            name = names.get(message.tool_call_id or "", "tool")
            results.append(f"Observation ({name}): {message.content}")
            continue
        if results:
            yield ChatMessage(role="user", content="\n\n".join(results))
            results = []
        if message.role == "system" and not told:
            told = True
            yield ChatMessage(role="system", content=f"{message.content}\n\n{rules}")
        else:
            if not told:
                told = True
                yield ChatMessage(role="system", content=rules)
            yield written(message)
    if results:
        yield ChatMessage(role="user", content="\n\n".join(results))


def written(message: ChatMessage) -> ChatMessage:
    """An earlier answer with its calls written out."""
    if not message.tool_calls:
        return message
    calls = [f"Action: {call.name}\nArguments: {call.arguments}" for call in message.tool_calls]
    return ChatMessage(role=message.role, content="\n".join([message.content, *calls]).strip())


def read_calls(text: str) -> tuple[ToolCall, ...]:
    """The calls in a model's text; a made-up observation ends the reading."""
    text = OBSERVATION.split(text, maxsplit=1)[0]
    calls: list[ToolCall] = []
    match = ACTION.search(text)
    while match is not None:
        arguments, end = read_arguments(text, match.end())
        name = match.group(1)
        if name.lower() not in {"none", "n/a"}:
            calls.append(ToolCall(id=f"call_{len(calls)}", name=name, arguments=arguments))
        match = ACTION.search(text, end)
    return tuple(calls)


def read_arguments(text: str, start: int) -> tuple[str, int]:
    """The JSON behind `Arguments:` and where it ends; broken JSON is handed on for the tool's error to be read."""
    label = ARGUMENTS.match(text, start) or BARE.match(text, start)
    if label is None:
        return "{}", start
    begin = text.find("{", label.end())
    following = ACTION.search(text, label.end())
    stop = following.start() if following else len(text)
    if begin < 0 or begin >= stop:
        return text[label.end() : stop].strip() or "{}", stop
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(text, begin)
    except ValueError:
        return text[begin:stop].strip().removesuffix("```").strip(), stop
    return text[begin:end], end


class SpokenText:
    """The part of a streamed answer that is for the reader: up to the first action, without labels.

    The beginning of a line is held back only while it may still turn out to be one of the marks. The pieces add up
    to a text without space at either end.
    """

    def __init__(self) -> None:
        self._line = ""
        self._inside = False
        self._space = ""
        self._begun = False
        self._over = False

    def feed(self, text: str) -> str:
        """The text that may be shown now."""
        shown: list[str] = []
        for part in text.splitlines(keepends=True):
            ends = part.endswith("\n")
            if not self._inside:
                self._line += part
                if not ends and undecided(self._line):
                    continue
                part = self._opened()  # noqa: PLW2901 - the line so far takes its place
            shown.append("" if self._over else part)
            self._inside = not ends
        return self._tidied("".join(shown))

    def end(self) -> str:
        """What was still held back."""
        return self._tidied("" if self._over else self._opened())

    def _opened(self) -> str:
        line, self._line = self._line, ""
        if SILENCE.match(line):
            self._over = True
            return ""
        return LABEL.sub("", line)

    def _tidied(self, text: str) -> str:
        """Without space in front of everything; space behind waits for what follows it."""
        text = self._space + text
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        kept = text.rstrip()
        self._space = text[len(kept) :]
        return kept


def undecided(line: str) -> bool:
    """Whether the beginning of a line may yet become an action, an observation or a label."""
    opening = line.lstrip(" \t>*#").lower()
    return any(
        mark.startswith(opening)
        or (opening.startswith(mark) and not opening[len(mark) :].strip(" \t*:"))
        for mark in MARKS
    )
