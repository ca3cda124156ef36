"""A conversation with the offline analyst over real databases: the tools' contract, executed by plain drivers.

Not the product's tools: what is tested here is the analyst, against the written contract of `schema`, `sql`, `chart`
and `export`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from databot.providers.offline.provider import OfflineProvider
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, TextChunk, ToolCall, ToolSpec

Execute = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]
MAX_STEPS = 12
PREVIEW = 50
MAX_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Source:
    """One connector: its tables as the schema tool tells them, and a way to run SQL."""

    name: str
    dialect: str
    tables: Sequence[Mapping[str, Any]]
    execute: Execute


def spec(name: str) -> ToolSpec:
    return ToolSpec(name=name, description=name, parameters={"type": "object", "properties": {}})


ALL_TOOLS = ("schema", "sql", "chart", "export")


@dataclass(kw_only=True)
class Talk:
    """A conversation: `ask` runs one turn through the loop and gives the answer's text."""

    sources: Sequence[Source]
    tools: Sequence[str] = ALL_TOOLS
    system: str = ""
    schema_limit: int | None = None
    messages: list[ChatMessage] = field(default_factory=list[ChatMessage])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    fail: str = ""

    async def ask(self, text: str) -> str:
        self.messages.append(ChatMessage(role="user", content=text))
        self.calls = []
        for _ in range(MAX_STEPS):
            reply = await self.step()
            if not reply.tool_calls:
                self.messages.append(ChatMessage(role="assistant", content=reply.text))
                return reply.text
            self._run(reply)
        raise AssertionError(f"no answer after {MAX_STEPS} steps to {text!r}")

    async def step(self) -> ChatReply:
        fixed = [ChatMessage(role="system", content=self.system)] if self.system else []
        request = ChatRequest(
            model="offline",
            messages=(*fixed, *self.messages),
            tools=tuple(spec(name) for name in self.tools),
        )
        chunks = [chunk async for chunk in OfflineProvider().chat_stream(request)]
        last = chunks[-1]
        assert isinstance(last, ChatReply)
        pieces = [chunk.text for chunk in chunks[:-1] if isinstance(chunk, TextChunk)]
        assert len(pieces) == len(chunks) - 1
        assert "".join(pieces) == last.text
        return last

    def _run(self, reply: ChatReply) -> None:
        self.messages.append(
            ChatMessage(role="assistant", content=reply.text, tool_calls=reply.tool_calls)
        )
        for call in reply.tool_calls:
            self.calls.append(call)
            self.messages.append(
                ChatMessage(
                    role="tool", content=self.run(call), tool_call_id=call.id, name=call.name
                )
            )

    def run(self, call: ToolCall) -> str:
        """One tool call, as the tools do it."""
        arguments: dict[str, Any] = json.loads(call.arguments)
        if self.fail and call.name != "schema":
            return f"error: {self.fail}"
        if call.name == "schema":
            return self._schema(arguments)
        source = self._source(arguments)
        if source is None:
            return "error: there are several SQL connectors"
        if call.name == "sql":
            return run_sql(source, arguments["sql"])
        try:
            columns, rows = source.execute(arguments["sql"])
        except Exception as error:
            return f"error: {error}"
        if call.name == "export":
            return f"Saved {len(rows):,} rows as export.{arguments['format']} (99 bytes), artifact art_1."
        missing = {arguments["x"], arguments["y"], arguments.get("color") or arguments["x"]} - set(
            columns
        )
        if missing:
            return f"error: no such column {missing}"
        return f"Drew a {arguments['mark']} chart of {arguments['y']} by {arguments['x']}, {len(rows):,} points; the person sees the image (artifact art_2).\na ▇▇▇ 3"

    def _source(self, arguments: Mapping[str, Any]) -> Source | None:
        if "connector" not in arguments:
            return self.sources[0] if len(self.sources) == 1 else None
        return next((s for s in self.sources if s.name == arguments["connector"]), None)

    def _schema(self, arguments: Mapping[str, Any]) -> str:
        listed: list[dict[str, Any]] = []
        truncated = False
        for source in self.sources:
            tables = [dict(table) for table in source.tables]
            if "table" in arguments:
                tables = [table for table in tables if table["name"] == arguments["table"]]
            elif "search" in arguments:
                words = str(arguments["search"]).lower().split()
                tables = [t for t in tables if any(w in json.dumps(t).lower() for w in words)][:30]
            elif self.schema_limit is not None:
                truncated = len(tables) > self.schema_limit
                for table in tables[self.schema_limit :]:
                    table["columns"] = []
            listed.append({"connector": source.name, "dialect": source.dialect, "tables": tables})
        head = json.dumps({"schema": listed, "truncated": truncated}, ensure_ascii=False)
        return f"{head}\nNot everything is shown." if truncated else head

    @property
    def statements(self) -> list[str]:
        """The SQL of this turn's calls."""
        return [json.loads(call.arguments)["sql"] for call in self.calls if call.name != "schema"]


def run_sql(source: Source, sql: str) -> str:
    try:
        columns, rows = source.execute(sql)
    except Exception as error:
        return f"error: {error}"
    cut = rows[:MAX_ROWS]
    document = {
        "columns": columns,
        "rows": [[plain(value) for value in row] for row in cut[:PREVIEW]],
        "row_count": len(cut),
        "truncated": len(rows) > MAX_ROWS,
        "artifact_id": "art_9" if len(cut) > PREVIEW else None,
        "connector": source.name,
        "dialect": source.dialect,
    }
    return json.dumps(document, ensure_ascii=False)


def plain(value: object) -> object:
    """A cell as the `sql` tool shows it."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)
