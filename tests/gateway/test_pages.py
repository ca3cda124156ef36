"""The pages as served, and as a person sees them in a real browser."""

import re
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import orjson
import pytest

from databot.types.events import MessageCompleted, TurnFinished, TurnStarted
from tests.gateway.browser import CHROMIUM, Page, browsing
from tests.gateway.conftest import KEYS, SECRET, Serve, Served
from tests.gateway.house import House, reply_to
from tests.gateway.test_markdown import HOSTILE

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


async def test_the_chat_page_holds_no_inline_code_and_names_nothing_from_elsewhere(
    served: Served,
) -> None:
    page = await served.call("GET", "/chat/default")
    text = page.body.decode()
    assert "Bot default" in text
    assert not re.search(r"<script(?![^>]*src=)|<style| on\w+=| style=", text)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert loaded
    for path in loaded:
        assert path.startswith("/"), path
        assert (await served.call("GET", path)).status == 200
    for name in ("chat.js", "api.js", "stream.js", "view.js", "chat.css"):
        body = (await served.call("GET", f"/static/{name}")).body
        assert b"http://" not in body, name
        assert b"https://" not in body, name


async def test_a_file_that_did_not_change_is_not_sent_again(served: Served) -> None:
    first = await served.call("GET", "/static/chat.js")
    assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
    again = await served.call(
        "GET", "/static/chat.js", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status, again.body) == (304, b"")


async def test_the_front_door_leads_to_the_chat(served: Served) -> None:
    answer = await served.call("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (307, "/chat/default")


async def test_with_keys_the_page_tells_a_stranger_no_more_than_its_address(
    guarded: Served,
) -> None:
    page = await guarded.call("GET", "/chat/acme-bot")
    assert page.status == 200
    assert b"Bot acme-bot" not in page.body


async def test_who_follows_a_wrong_link_gets_a_page_and_a_program_the_error(served: Served) -> None:
    page = await served.call("GET", "/chat/<b>", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status == 404
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"&lt;b&gt;" in page.body
    assert b"/chat/default" in page.body
    answer = await served.call("GET", "/chat/nope")
    assert (answer.status, answer.error["type"]) == (404, "not_found")


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[Page]:
    async with browsing(tmp_path / "profile") as page:
        yield page
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


@needs_browser
async def test_a_conversation_in_a_real_browser(serve: Serve, browser: Page) -> None:
    served = await serve()
    await browser.open(served.url + "/chat/default")
    await browser.ask("hold on")
    await browser.until("document.querySelector('.tools li.running')")
    await served.house.release("turn_1")
    await browser.until("document.querySelector('article.bot strong')")
    await browser.until("!document.getElementById('send').hidden")
    assert await browser.run("document.querySelector('article.bot .text').innerText") == (
        "You said hold on"
    )
    assert "select 1" in await browser.run("document.querySelector('.evidence pre').textContent")
    assert await browser.run("document.querySelector('.notes').innerText") == "A note"

    await browser.ask("hold the line")
    await browser.until("document.querySelector('.tools li.running')")
    await browser.open(served.url + "/chat/default")  # reloaded in the middle of a turn
    await browser.until("document.querySelector('.tools li.running')")
    assert await browser.run("document.querySelectorAll('article').length") == 4
    await browser.run("document.getElementById('stop').click()")
    await browser.until("document.querySelector('article:last-child .problem')")
    assert served.house.records["turn_2"].state == "cancelled"

    await browser.run("document.getElementById('new').click()")
    await browser.ask("a fresh start")
    await browser.until("document.querySelector('article.bot strong')")
    sessions = {record.conversation.session_id for record in served.house.records.values()}
    assert len(sessions) == 2
    assert browser.troubles == []


CARD = "article.bot .card"


@needs_browser
@pytest.mark.parametrize(("button", "state"), [("approve", "approved"), ("deny", "denied")])
async def test_a_call_that_waits_is_a_card_also_after_a_reload_and_other_messages_go_on(
    serve: Serve, browser: Page, button: str, state: str
) -> None:
    served = await serve()
    await browser.open(served.url + "/chat/default")
    await browser.ask("drop it")
    await browser.until(f"document.querySelector('{CARD} button.approve')")
    shown = await browser.run(f"document.querySelector('{CARD} pre').textContent")
    assert orjson.loads(shown) == {"table": "orders", "why": "<b>old</b>"}
    await browser.until("!document.getElementById('send').hidden")
    await browser.ask("hello")
    await browser.until("document.querySelectorAll('article.bot strong').length === 2")

    await browser.open(served.url + "/chat/default")
    await browser.until(f"document.querySelector('{CARD} button.{button}')")
    order = "[...document.querySelectorAll('article')].map((each) => each.className).join()"
    assert await browser.run(order) == "user,bot,user,bot"
    assert await browser.run(
        f"document.querySelector('article:nth-of-type(2)').contains(document.querySelector('{CARD}'))"
    )
    await browser.run(f"document.querySelector('{CARD} button.{button}').click()")
    await browser.until(f"!document.querySelector('{CARD}')")
    await browser.until("document.querySelectorAll('article.bot .text strong').length === 2")
    assert served.house.approvals.kept["apr_turn_1"].state == state
    assert await browser.run("localStorage.getItem('databot.waiting.default')") is None
    assert browser.troubles == []


@needs_browser
async def test_a_card_decided_elsewhere_says_so(serve: Serve, browser: Page) -> None:
    served = await serve()
    served.house.approvals.release_at_once = False
    await browser.open(served.url + "/chat/default")
    await browser.ask("drop it")
    await browser.until(f"document.querySelector('{CARD} button.deny')")
    answer = await served.call("POST", "/api/v1/approvals/apr_turn_1", json={"decision": "approve"})
    assert answer.status == 200
    await browser.run(f"document.querySelector('{CARD} button.deny').click()")
    await browser.until(f"!document.querySelector('{CARD} .problem').hidden")
    told = await browser.run(f"document.querySelector('{CARD} .problem').textContent")
    assert told == "This call was approved before"


@needs_browser
async def test_the_page_asks_for_a_key_and_keeps_it_out_of_the_address_and_the_disk(
    serve: Serve, browser: Page
) -> None:
    served = await serve(api_keys=KEYS)
    await browser.open(served.url + "/chat/default")
    await browser.ask("hello")
    told: list[str] = []
    for key in ("wrong", SECRET):
        await browser.until("document.getElementById('door').open")
        told.append(await browser.run("document.getElementById('door-problem').textContent"))
        await browser.run(
            f"(document.getElementById('key').value = '{key}', "
            "document.querySelector('#door button').click())"
        )
        await browser.until("!document.getElementById('door').open")
    assert told == ["", "This key is not known here."]
    await browser.until("document.querySelector('article.bot strong')")
    assert SECRET not in await browser.run("location.href + JSON.stringify(localStorage)")
    assert not any(SECRET in url for url in browser.requests)
    (record,) = served.house.records.values()
    assert record.message.sender_id == "alice"


@needs_browser
async def test_hostile_replies_run_nothing_and_load_nothing(serve: Serve, browser: Page) -> None:
    def hostile(
        turn_id: str, message: object
    ) -> list[TurnStarted | MessageCompleted | TurnFinished]:
        reply = reply_to(turn_id, message, "\n\n".join(HOSTILE))  # pyright: ignore[reportArgumentType] - as House calls it
        return [
            TurnStarted(turn_id=turn_id, session_id=reply.session_id),
            MessageCompleted(turn_id=turn_id, message=reply),
            TurnFinished(turn_id=turn_id, message=reply),
        ]

    served = await serve(House(hostile))
    await browser.open(served.url + "/chat/default")
    await browser.ask("<img src=x onerror=alert(1)>")
    await browser.until("document.querySelector('article.bot .text a')")
    await browser.until("!document.getElementById('send').hidden")
    assert browser.troubles == []
    assert all(url.startswith((served.url, "about:")) for url in browser.requests)
    assert await browser.run("document.querySelectorAll('article img, article svg').length") == 0
