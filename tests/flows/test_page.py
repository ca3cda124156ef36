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
    call = ToolCall(id="c1", name="sql", arguments=orjson.dumps({"sql": QUERY}).decode())
    model.script(Say(text="Let me look.", calls=(call,)))
    model.reply_with(TABLE)
    await ask(page, "revenue by country")
    model.call_tool("chart", CHART)
    model.reply_with("Here it is.")
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
    assert await page.run("document.querySelectorAll('article.bot .tools li.done').length") == 2
    assert QUERY.split()[0] in await page.run("document.querySelector('.evidence').textContent")
    await page.until("document.querySelector('.artifacts img')?.naturalWidth > 0")

    model.release()
    await page.until("document.querySelector('article:last-child .text').innerText === 'At last.'")
    await page.until("!document.getElementById('send').hidden")
    assert page.troubles == []
