"""The chat page of a real daemon in a real browser: what a person sees, and sees again after a reload."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import orjson
import pytest

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.types.chat import ToolCall
from tests.flows.daemon import Daemon, running_gateway, write_config
from tests.flows.test_main_path import QUERY, llm
from tests.gateway.browser import CHROMIUM, Page, browsing

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

TABLE = "| country | total |\n|---|---:|\n| Peru | 150 |\n| Norway | 60 |"
LOOKUP = "SELECT DISTINCT country FROM customers"
CHART = {"sql": QUERY, "mark": "bar", "x": "country", "y": "total"}


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
async def daemon(tmp_path: Path, model: ModelServer) -> AsyncGenerator[Daemon]:
    config = write_config(tmp_path, llm={**llm(model), "timeout_s": 30}, agents={"enabled": False})
    async with running_gateway(config) as daemon:
        yield daemon


@pytest.fixture
async def page(tmp_path: Path, daemon: Daemon) -> AsyncGenerator[Page]:
    async with browsing(tmp_path / "profile") as page:
        await page.open(daemon.url + "/chat/default")
        yield page
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


async def ask(page: Page, question: str) -> None:
    """Ask, and wait for the whole answer."""
    await page.ask(question)
    await page.until("!document.getElementById('send').hidden")


async def seen(page: Page) -> list[str]:
    """The words of every question and answer, without times that change."""
    return await page.run(
        "[...document.querySelectorAll('article')].map((node) =>"
        " node.matches('.user') ? node.innerText : node.querySelector('.text').innerText)"
    )


async def test_a_reloaded_page_shows_the_conversation_again_and_follows_the_running_turn(
    daemon: Daemon, model: ModelServer, page: Page
) -> None:
    arguments = orjson.dumps({"sql": LOOKUP, "purpose": "lookup"}).decode()
    call = ToolCall(id="c1", name="sql", arguments=arguments)
    model.script(Say(text="Let me look.", calls=(call,)))
    model.call_tool("sql", {"sql": QUERY})
    model.reply_with(TABLE)
    await ask(page, "revenue by country")
    model.call_tool("chart", CHART)
    model.reply_with("Here it is.\n\n```text\nPeru ████ 150\n```")
    await ask(page, "chart it")
    model.script(Say(text="At last.", hold_after=2))
    await page.ask("think about it")
    begun = "document.querySelector('article:last-child .text').innerText === 'At '"
    await page.until(begun)
    before = await seen(page)

    await page.open(daemon.url + "/chat/default")
    await page.until("document.querySelectorAll('article').length === 6")
    await page.until(begun)
    assert await seen(page) == before
    assert await page.run("document.querySelectorAll('.text table tbody tr').length") == 2
    assert await page.run("document.querySelectorAll('article.bot .tools li.done').length") == 3
    await page.until("document.querySelector('.artifacts img')?.naturalWidth > 0")

    model.release()
    await page.until("document.querySelector('article:last-child .text').innerText === 'At last.'")
    await page.until("!document.getElementById('send').hidden")
    assert page.troubles == []


async def test_the_answering_query_comes_first_and_lookups_are_folded_away(
    model: ModelServer, page: Page
) -> None:
    model.call_tool("sql", {"sql": LOOKUP, "purpose": "lookup"}, call_id="c1")
    model.call_tool("sql", {"sql": QUERY}, call_id="c2")
    model.reply_with(TABLE)
    await ask(page, "revenue by country")
    summaries = (
        "[...document.querySelectorAll('.evidence > summary')].map((node) => node.textContent)"
    )
    assert await page.run(summaries) == ["Evidence: 1 query", "Looked up: 1 query"]
    assert await page.run("document.querySelector('.evidence pre').textContent.includes('SUM(')")

    model.call_tool("sql", {"sql": LOOKUP, "purpose": "lookup"}, call_id="c3")
    model.reply_with("That I cannot say.")
    await ask(page, "why?")
    last = summaries.replace("'.evidence", "'article:last-child .evidence")
    assert await page.run(last) == ["Looked up: 1 query"]


async def test_a_chart_is_shown_once_and_its_other_forms_are_offered(
    model: ModelServer, page: Page
) -> None:
    model.call_tool("chart", CHART)
    model.reply_with("Here it is.\n\n```text\nPeru ████ 150\n```\n\n```sql\nSELECT 1\n```")
    await ask(page, "chart it")
    await page.until("document.querySelector('.artifacts img')?.naturalWidth > 0")
    assert await page.run("document.querySelectorAll('.artifacts img').length") == 1
    assert await page.run("document.querySelectorAll('.artifacts button').length") == 3
    blocks = "[...document.querySelectorAll('.text pre')].map((node) => node.innerText.trim())"
    assert await page.run(blocks) == ["SELECT 1"]


@pytest.mark.parametrize("width", [390, 1280])
async def test_no_word_or_number_of_a_table_is_broken(
    daemon: Daemon, model: ModelServer, page: Page, width: int
) -> None:
    head = "| id | status | customer | revenue | ordered at | note |\n|---:|---|---|---:|---|---|\n"
    row = "| 4967 | completed | Abernathy Roastworks | 1,234,567.89 | 2026-01-31 | wholesale |\n"
    model.reply_with(head + row * 2)
    await page.open(daemon.url + "/chat/default", width=width)
    await ask(page, "latest orders")
    broken = """[...document.querySelectorAll('.text td, .text th')].filter((cell) =>
        cell.textContent.split(' ').some((word) => {
            const range = document.createRange();
            const at = cell.textContent.indexOf(word);
            range.setStart(cell.firstChild, at);
            range.setEnd(cell.firstChild, at + word.length);
            return range.getClientRects().length > 1;
        })).map((cell) => cell.textContent)"""
    assert await page.run(broken) == []
    assert await page.run("document.documentElement.scrollWidth <= innerWidth")
