"""Conversations, files and what is wired, read and deleted over HTTP."""

import asyncio

import pytest

from databot.connectors.base import Health
from tests.gateway.conftest import OTHER_SECRET, Served, bearer
from tests.gateway.house import House, Warehouse


async def test_conversations_are_listed_last_used_first_page_by_page(served: Served) -> None:
    for name in ("a", "b", "c"):
        await served.chat(f"hello {name}", session_id=name)
    first = (await served.call("GET", "/api/v1/sessions?limit=2")).json
    assert [each["session_id"] for each in first["sessions"]] == ["c", "b"]
    assert first["sessions"][0]["title"] == "hello c"
    params = {"limit": "2", "before": first["next_before"]}
    second = (await served.call("GET", "/api/v1/sessions", params=params)).json
    assert [each["session_id"] for each in second["sessions"]] == ["a"]
    assert second["next_before"] is None


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("2026-01-01T00:00:02Z", ["a"]),
        ("2026-01-01T01:00:02%2B01:00", ["a"]),
        ("2026-01-01T01:00:02+01:00", ["a"]),
        ("2026-01-01T00:00:02", ["a"]),
        ("2025-01-01", []),
    ],
)
async def test_a_page_begins_before_any_iso_time(
    served: Served, before: str, expected: list[str]
) -> None:
    for name in ("a", "b"):
        await served.chat("hello", session_id=name)
    answer = await served.call("GET", f"/api/v1/sessions?before={before}")
    assert [each["session_id"] for each in answer.json["sessions"]] == expected


async def test_a_conversation_is_read_back_in_order(served: Served) -> None:
    await served.chat("one", session_id="with space/ü")
    await served.chat("two", session_id="with space/ü")
    path = "/api/v1/sessions/with%20space%2F%C3%BC"
    answer = (await served.call("GET", path)).json
    assert answer["session_id"] == "with space/ü"
    assert [(each["role"], each["content"]) for each in answer["messages"]] == [
        ("user", "one"),
        ("assistant", "**You said** one"),
        ("user", "two"),
        ("assistant", "**You said** two"),
    ]
    assert "html" not in answer["messages"][1]
    page = (await served.call("GET", path + "?html=1")).json
    assert page["messages"][1]["html"] == "<p><strong>You said</strong> one</p>\n"
    assert "html" not in page["messages"][0]


@pytest.mark.parametrize(
    "limit", ["0", "201", "-1", "x", "", "²", "000001999999", "0" * 12 + "9" * 5000]
)
async def test_a_limit_that_is_no_number_of_conversations_is_refused(
    served: Served, limit: str
) -> None:
    answer = await served.call("GET", "/api/v1/sessions", params={"limit": limit})
    assert (answer.status, answer.error["type"]) == (400, "invalid_request")
    assert answer.error["message"] == "limit must be a whole number from 1 to 200"


async def test_two_bots_may_each_have_a_conversation_of_one_name(guarded: Served) -> None:
    acme = bearer(OTHER_SECRET)
    for bot in ("default", "acme-bot"):
        body = {"message": f"to {bot}", "bot_id": bot, "session_id": "s"}
        assert (await guarded.call("POST", "/api/v1/chat", json=body, headers=acme)).status == 200
    for query, said in (
        ("?bot_id=default", "to default"),
        ("?bot_id=acme-bot", "to acme-bot"),
        ("", "to acme-bot"),
    ):
        shown = await guarded.call("GET", f"/api/v1/sessions/s{query}", headers=acme)
        assert shown.json["messages"][0]["content"] == said
    for method in ("GET", "DELETE"):
        for path in ("s?bot_id=", "s?bot_id=other", "other?bot_id=default"):
            unknown = await guarded.call(method, f"/api/v1/sessions/{path}", headers=acme)
            assert (unknown.status, unknown.error["type"]) == (404, "not_found")
    one = "/api/v1/sessions/s?bot_id=default"
    assert (await guarded.call("DELETE", one, headers=acme)).status == 204
    assert (await guarded.call("GET", one, headers=acme)).status == 404
    left = await guarded.call("GET", "/api/v1/sessions/s", headers=acme)
    assert left.json["bot_id"] == "acme-bot"


async def test_deleting_a_conversation_deletes_its_turns_and_files(served: Served) -> None:
    turn = (await served.chat("one", session_id="s")).json["turn_id"]
    conversation = served.house.records[turn].conversation
    file = await served.house.save(conversation, "a.csv", "text/csv", b"a")
    assert (await served.call("DELETE", "/api/v1/sessions/s")).status == 204
    for path in ("sessions/s", f"turns/{turn}", f"artifacts/{file.id}"):
        assert (await served.call("GET", f"/api/v1/{path}")).status == 404, path
    assert (await served.call("DELETE", "/api/v1/sessions/s")).status == 404


async def keep(house: House, name: str, media_type: str, data: bytes) -> str:
    message = next(iter(house.records.values())).conversation
    return (await house.save(message, name, media_type, data)).id


@pytest.mark.parametrize(
    ("media_type", "sent_as"),
    [
        ("text/csv", "text/csv"),
        ("image/png", "image/png"),
        ("image/svg+xml", "image/svg+xml"),
        ("text/html", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("text/html; charset=utf-8", "application/octet-stream"),
        ("text/csv\r\nSet-Cookie: a=b", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
async def test_a_file_is_a_download_that_can_never_run(
    served: Served, media_type: str, sent_as: str
) -> None:
    await served.chat("x")
    data = b"<svg onload=alert(1)>"
    file = await keep(served.house, "chart.svg", media_type, data)
    answer = await served.call("GET", f"/api/v1/artifacts/{file}")
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["Content-Type"] == sent_as
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("name", "plain", "full"),
    [
        ("sales.csv", "sales.csv", "sales.csv"),
        ("Umsätze 2026.csv", "Ums_tze 2026.csv", "Ums%C3%A4tze%202026.csv"),
        ('a"b\r\nX: y.csv', "a_b__X_ y.csv", "a%22b%0D%0AX%3A%20y.csv"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\temp\\x.csv", "x.csv", "x.csv"),
        ("", "file", "file"),
    ],
)
async def test_a_file_keeps_its_name_and_nothing_else_of_it(
    served: Served, name: str, plain: str, full: str
) -> None:
    await served.chat("x")
    file = await keep(served.house, name, "text/csv", b"a")
    answer = await served.call("GET", f"/api/v1/artifacts/{file}")
    expected = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"
    assert answer.headers["Content-Disposition"] == expected


async def test_what_is_wired_is_told(served: Served) -> None:
    async def listed(kind: str) -> list[str]:
        return [each["name"] for each in (await served.call("GET", f"/api/v1/{kind}")).json[kind]]

    assert await listed("agents") == ["sql"]
    assert await listed("tools") == ["sql"]
    assert await listed("channels") == ["http"]
    assert await listed("plugins") == ["sql"]
    assert await listed("connectors") == ["warehouse", "broken"]


async def test_a_connector_is_asked_how_it_is(served: Served) -> None:
    well = (await served.call("POST", "/api/v1/connectors/warehouse/check")).json
    assert well["health"] == {"state": "ok", "detail": "3 tables", "latency_ms": 1.0}
    broken = (await served.call("POST", "/api/v1/connectors/broken/check")).json
    assert broken["health"]["state"] == "down"
    assert broken["health"]["detail"] == "the driver is missing"


async def test_a_connector_that_never_answers_is_down_and_holds_nobody_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: Warehouse) -> Health:
        await asyncio.Event().wait()
        raise NotImplementedError

    monkeypatch.setattr(Warehouse, "health", never)
    monkeypatch.setattr("databot.gateway.api.catalog.LOOK_TIMEOUT_S", 0.01)
    one = await served.call("POST", "/api/v1/connectors/warehouse/check")
    assert one.json["health"]["state"] == "down"
    every = await served.call("GET", "/api/v1/connectors")
    assert (every.status, every.error["type"]) == (504, "check_timeout")
