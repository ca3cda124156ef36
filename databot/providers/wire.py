"""OpenAI's chat protocol: requests to bytes, bodies and stream events to replies.

Pure: no connection, no retry. Lenient in what it reads, because a dozen servers speak this protocol with an accent;
strict in what it writes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from databot.types.chat import (
    ChatMessage,
    ChatReply,
    ChatRequest,
    FinishReason,
    ToolCall,
    ToolSpec,
    Usage,
)

ADJUSTABLE = frozenset({"stream_options", "temperature", "max_tokens", "max_completion_tokens"})
"""What a call can do without when a server refuses it."""
LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
FINISH: Mapping[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}


def request_body(request: ChatRequest, *, stream: bool, refused: frozenset[str]) -> bytes:
    """The JSON of one call, without the parameters in `refused`."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [wire_message(message) for message in request.messages],
        "temperature": request.temperature,
        "stream": stream,
    }
    for field in LIMIT_FIELDS:
        if field not in refused:
            body[field] = request.max_output_tokens
            break
    if request.tools:
        body["tools"] = [wire_tool(tool) for tool in request.tools]
    if stream:
        body["stream_options"] = {"include_usage": True}
    for field in refused:
        body.pop(field, None)
    return orjson.dumps(body, default=plain)


def wire_message(message: ChatMessage) -> dict[str, Any]:
    if message.role == "tool":
        return {
            "role": "tool",
            "tool_call_id": message.tool_call_id or "",
            "content": message.content,
        }
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [wire_call(call) for call in message.tool_calls]
    return wire


def wire_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def wire_tool(tool: ToolSpec) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


def plain(value: object) -> object:
    """What orjson cannot write by itself: mappings and sequences that are not dicts and lists."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | frozenset | set):
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no place in a tool's schema")


def load(data: bytes) -> dict[str, Any] | None:
    """A JSON object, with invalid UTF-8 replaced; `None` when it is not one."""
    try:
        value = orjson.loads(data)
    except ValueError:
        try:
            value = orjson.loads(data.decode("utf-8", errors="replace"))
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def text_of(content: object) -> str:
    """The text of a `content` field: a string, or parts of which only text counts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(str(part.get("text", "")) for part in parts)


class CallDraft:
    """A tool call while it is being streamed."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class Assembler:
    """Puts the pieces of an answer together, streamed or whole.

    `choices` counts how many pieces had a choice in them; `finished` says whether the server told why it stopped.
    """

    def __init__(self) -> None:
        self.choices = 0
        self.finished = ""
        self.model = ""
        self.usage: Mapping[str, Any] = {}
        self._texts: list[str] = []
        self._calls: list[CallDraft] = []
        self._places: dict[int, CallDraft] = {}

    def add(self, data: Mapping[str, Any]) -> str:
        """Take in one event (or a whole body) and give the text in it."""
        usage = data.get("usage")
        if isinstance(usage, dict):
            self.usage = usage
        choices = data.get("choices")
        if not choices:
            return ""
        self.choices += 1
        choice = choices[0]
        if reason := choice.get("finish_reason"):
            self.finished = str(reason)
            self.model = str(data.get("model") or "")
        delta = choice.get("delta")
        piece = delta or choice.get("message")
        if not piece:
            return ""
        if calls := piece.get("tool_calls"):
            for call in calls:
                self._add_call(self._draft(call) if delta else self._new_draft(), call)
        content = piece.get("content") or piece.get("refusal")
        if not content:
            return ""
        text = content if isinstance(content, str) else text_of(content)
        self._texts.append(text)
        return text

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def calls(self) -> bool:
        """Whether a tool was asked for."""
        return bool(self._calls)

    def reply(self, model: str, usage: Usage) -> ChatReply:
        """The whole answer; `model` is who was asked, for servers that do not say who answered."""
        calls = tuple(finished_calls(self._calls))
        return ChatReply(
            text=self.text,
            tool_calls=calls,
            finish_reason="tool_calls" if calls else FINISH.get(self.finished, "stop"),
            usage=usage,
            model=self.model or model,
        )

    def tokens(self) -> tuple[int, int]:
        """(input, output) tokens as the server counted them; 0 where it did not."""
        return count(self.usage.get("prompt_tokens")), count(self.usage.get("completion_tokens"))

    def _add_call(self, draft: CallDraft, wire: Mapping[str, Any]) -> None:
        if identity := wire.get("id"):
            draft.id = str(identity)
        function = wire.get("function") or {}
        if name := function.get("name"):
            draft.name = draft.name or str(name)
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            draft.arguments.append(arguments)
        elif arguments is not None:
            draft.arguments.append(orjson.dumps(arguments).decode())

    def _draft(self, wire: Mapping[str, Any]) -> CallDraft:
        """The call a piece belongs to: by index; a new id under an old index is a new call all the same."""
        index, identity = wire.get("index"), wire.get("id")
        if index is not None:
            draft = self._places.get(index)
            fresh = draft is None or (identity and draft.id and identity != draft.id)
        else:
            draft = next(
                (known for known in self._calls if identity and known.id == identity), None
            )
            if draft is None and not identity and self._calls:
                draft = self._calls[-1]
            fresh = draft is None
        if draft is None or fresh:
            draft = self._new_draft()
            if index is not None:
                self._places[index] = draft
        return draft

    def _new_draft(self) -> CallDraft:
        draft = CallDraft()
        self._calls.append(draft)
        return draft


def count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def finished_calls(drafts: Sequence[CallDraft]) -> list[ToolCall]:
    """Calls with ids that are present and differ; a call without arguments has the empty object."""
    calls: list[ToolCall] = []
    taken: set[str] = set()
    for number, draft in enumerate(drafts):
        identity = unique(draft.id or f"call_{number}", taken)
        arguments = "".join(draft.arguments).strip() or "{}"
        calls.append(ToolCall(id=identity, name=draft.name, arguments=arguments))
    return calls


def unique(identity: str, taken: set[str]) -> str:
    """`identity`, or with a number behind it when it is taken."""
    name, number = identity, 2
    while name in taken:
        name, number = f"{identity}_{number}", number + 1
    taken.add(name)
    return name
