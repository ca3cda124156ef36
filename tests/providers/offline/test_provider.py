"""The provider's door: the contract of a language model, and what comes back from tools in all its forms."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from databot.providers.offline.provider import OfflineProvider
from databot.types.chat import ChatMessage, ChatRequest, ToolCall
from tests.providers.offline.reading import figure, table
from tests.providers.offline.world import Source, Talk, spec
from tests.providers.offline.worlds import World, sqlite_source


def request(*messages: ChatMessage, tools: tuple[str, ...] = ("schema", "sql")) -> ChatRequest:
    return ChatRequest(model="offline", messages=messages, tools=tuple(spec(t) for t in tools))


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


async def test_the_first_step_is_a_look_at_the_catalog() -> None:
    reply = await OfflineProvider().chat(request(user("how many orders")))
    assert reply.finish_reason == "tool_calls"
    assert [(call.name, json.loads(call.arguments)) for call in reply.tool_calls] == [
        ("schema", {})
    ]


async def test_the_same_messages_get_the_same_answer(shop_world: World) -> None:
    first, second = Talk(sources=[shop_world.source]), Talk(sources=[shop_world.source])
    for question in ("top 5 customers by revenue", "and by country?"):
        assert await first.ask(question) == await second.ask(question)
    assert first.messages == second.messages


async def test_ids_of_calls_are_unique_in_a_conversation(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    for question in (
        "how many orders are cancelled",
        "and shipped?",
        "list tables",
        "and by country?",
    ):
        await talk.ask(question)
    ids = [call.id for message in talk.messages for call in message.tool_calls]
    assert len(ids) == len(set(ids)) > 6


async def test_usage_is_estimated_and_free(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    talk.messages.append(user("help"))
    reply = await talk.step()
    assert reply.usage.input_tokens > 0
    assert reply.usage.cost_usd == 0


async def test_a_long_answer_is_cut_at_the_limit_and_says_so(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    await talk.ask("list tables")
    question = ChatRequest(
        model="offline",
        messages=tuple(talk.messages[:-1]),
        tools=(spec("schema"), spec("sql")),
        max_output_tokens=16,
    )
    reply = await OfflineProvider().chat(question)
    assert reply.finish_reason == "length"
    assert len(reply.text) <= 64


@pytest.mark.parametrize("tools", [(), ("sql",), ("schema",), ("remember",)])
async def test_without_its_tools_it_says_so(tools: tuple[str, ...]) -> None:
    reply = await OfflineProvider().chat(request(user("how many orders"), tools=tools))
    assert "no tools to look at data" in reply.text


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
async def test_an_empty_message_is_no_question(text: str) -> None:
    assert (await OfflineProvider().chat(request(user(text)))).text == "There is no question yet."
    assert (await OfflineProvider().chat(request())).text == "There is no question yet."


async def test_a_tool_that_fails_is_told_in_words(shop_world: World) -> None:
    talk = Talk(
        sources=[shop_world.source], fail="the tool 'sql' was stopped after 30 s without a result"
    )
    answer = await talk.ask("how many orders")
    assert "did not run" in answer
    assert "stopped after 30 s" in answer
    assert "Try a shorter period" in answer


async def test_a_value_lookup_that_fails_is_not_taken_for_a_missing_value(
    shop_world: World,
) -> None:
    talk = Talk(sources=[shop_world.source], fail="the database is unavailable")
    answer = await talk.ask("how many cancelled orders")
    assert "the database is unavailable" in answer


@pytest.mark.parametrize("content", ["", "nonsense", "{", '{"schema": 5}', '{"schema": [1, {"tables": [3]}]}', "error: no database is connected", "[1, 2]"])  # fmt: skip
async def test_a_catalog_that_cannot_be_read_is_told(content: str) -> None:
    call = ToolCall(id="call_1", name="schema", arguments="{}")
    messages = (
        user("how many orders"),
        ChatMessage(role="assistant", content="", tool_calls=(call,)),
        ChatMessage(role="tool", content=content, tool_call_id="call_1", name="schema"),
    )
    reply = await OfflineProvider().chat(request(*messages))
    assert reply.tool_calls == ()
    assert reply.text


@pytest.mark.parametrize("content", ["", "12", '{"rows": 3}', '{"columns": ["n"], "rows": []}', '{"columns": [], "rows": [[]], "row_count": 1}', '{"columns": ["n"], "rows": [[null]]}'])  # fmt: skip
async def test_a_result_of_another_form_is_told_without_a_figure(
    shop_world: World, content: str
) -> None:
    talk = Talk(sources=[shop_world.source])
    talk.messages.append(user("how many orders"))
    for answer in (talk.run(ToolCall(id="a", name="schema", arguments="{}")), content):
        reply = await talk.step()
        talk.messages.append(ChatMessage(role="assistant", content="", tool_calls=reply.tool_calls))
        call = reply.tool_calls[0]
        talk.messages.append(
            ChatMessage(role="tool", content=answer, tool_call_id=call.id, name=call.name)
        )
    last = await talk.step()
    assert last.text
    assert "**" not in last.text


async def test_results_are_found_inside_a_fence(shop_world: World) -> None:
    class Fenced(Talk):
        def run(self, call: ToolCall) -> str:
            return f'<tool_result name="{call.name}">\n{super().run(call)}\n</tool_result>'

    answer = await Fenced(sources=[shop_world.source]).ask("how many orders")
    assert figure(answer) == "400"


async def test_a_cut_result_is_told_as_cut(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask("SELECT * FROM order_items")
    assert "cut at 1,000 rows" in answer
    assert len(table(answer)) == 20


async def test_an_attachment_is_not_part_of_the_question(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask(
        "how many orders\n\n[attached file 'a.txt', text/plain, 3 bytes]\n~~~~\nfoo\n~~~~"
    )
    assert figure(answer) == "400"


async def test_documents_found_by_retrieval_are_quoted(shop_world: World) -> None:
    passage = '<passage marker="[1]" title="Refund policy" source="docs/refunds.md">\nRefunds within 30 days.\n</passage>'
    schema = '<passage marker="[2]" title="orders" source="shop/orders">\norders\n</passage>'
    talk = Talk(
        sources=[shop_world.source], system=f"<reference>\n{schema}\n{passage}\n</reference>"
    )
    answer = await talk.ask("what is the refund policy?")
    assert "> Refunds within 30 days." in answer
    assert "Refund policy [1]" in answer


async def test_the_database_is_chosen_by_its_tables_or_its_name(
    shop_world: World, telemetry_world: World
) -> None:
    talk = Talk(sources=[shop_world.source, telemetry_world.source])
    assert figure(await talk.ask("how many devices")) == "12"
    assert figure(await talk.ask("how many orders")) == "400"
    assert figure(await talk.ask("ask telemetry how many events")) == "300"
    assert json.loads(talk.calls[-1].arguments)["connector"] == "telemetry"
    assert "shop (sqlite) has **5** tables" in await talk.ask("list tables")


async def test_a_follow_up_stays_with_its_database(
    shop_world: World, telemetry_world: World
) -> None:
    talk = Talk(sources=[shop_world.source, telemetry_world.source])
    await talk.ask("how many events")
    answer = await talk.ask("and by severity?")
    assert {row[0] for row in table(answer)} == {"low", "high", "critical"}


async def test_a_database_without_tables_is_told_to_be_empty() -> None:
    source = Source(name="void", dialect="postgres", tables=[], execute=lambda _: ([], []))
    answer = await Talk(sources=[source]).ask("how many orders")
    assert "void (postgres) has no tables that I may see." in answer


WEIRD = """
CREATE TABLE "weird table; DROP" ("select" TEXT, "a ""quoted"" name" TEXT, "größe" REAL, "order" INTEGER);
CREATE TABLE "Zahlungen" ("Betrag" REAL, "Währung" TEXT, "gezahlt am" DATE);
CREATE TABLE "table" (id INTEGER PRIMARY KEY, "from" TEXT, "%" TEXT);
CREATE TABLE empty (id INTEGER PRIMARY KEY, name TEXT, created_at TEXT);
INSERT INTO "weird table; DROP" VALUES ('x', 'y''s "1"', 1.5, 2), ('x', 'z', 2.5, 3);
INSERT INTO "Zahlungen" VALUES (10.0, 'EUR', '2024-05-01'), (5.5, 'CHF', '2024-06-01');
INSERT INTO "table" VALUES (1, 'Ünal', '100%');
"""


@pytest.fixture
def weird(tmp_path: Path) -> Iterator[Source]:
    connection = sqlite3.connect(tmp_path / "weird.db", check_same_thread=False)
    connection.executescript(WEIRD)
    yield sqlite_source("weird", connection)
    connection.close()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ('how many rows in "weird table; DROP"', "2"),
        ('how many "weird table; DROP" where select is x', "2"),
        ("how many Zahlungen", "2"),
        ("total betrag", "15.50"),
        ("how many Zahlungen in Währung eur", "1"),
        ("how many zahlungen in may 2024", "1"),
        ('how many rows are in the table "table"', "1"),
        ('how many "empty"', "0"),
        ('average "größe"', "2.00"),
    ],
)
async def test_names_of_any_kind_are_quoted(weird: Source, question: str, expected: str) -> None:
    assert figure(await Talk(sources=[weird]).ask(question)) == expected


@pytest.mark.parametrize(
    "question",
    ['show "empty"', '"empty" per month', 'latest "empty"', '"empty" by name', "what is in here"],
)
async def test_tables_without_rows_are_no_trouble(weird: Source, question: str) -> None:
    assert await Talk(sources=[weird]).ask(question)


async def test_a_value_with_quotes_in_it_stays_a_value(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask("""customers named "x' OR 1=1 --" """)
    assert "I find no" in answer
    assert len(shop_world.source.execute("SELECT * FROM customers")[1]) == 40


def large(tables: int) -> Source:
    listed = [
        {
            "name": f"area{n % 20}_topic{n}",
            "rows": n,
            "comment": "",
            "columns": [["id", "INTEGER", "pk"], ["parent_id", "INTEGER", f"fk area{(n - 1) % 20}_topic{n - 1}.id"], ["status", "TEXT", ""], ["created_at", "TIMESTAMP", ""], ["amount", "NUMERIC", ""], [f"special{n}", "TEXT", ""]],
        }
        for n in range(1, tables + 1)
    ]  # fmt: skip
    return Source(
        name="large", dialect="postgres", tables=listed, execute=lambda _: (["n"], [(7,)])
    )


@pytest.mark.parametrize("limit", [None, 60])
async def test_five_hundred_tables_are_searched(limit: int | None) -> None:
    talk = Talk(sources=[large(500)], schema_limit=limit)
    answer = await talk.ask("how many area17 topic457 per month")
    assert "area17_topic457" in talk.statements[-1]
    assert answer
