"""Tool calls that wait for a person, over HTTP: what is asked, deciding once, and doors that do not wait for days."""

import asyncio
from typing import Any

import pytest

from tests.gateway.conftest import OTHER_SECRET, Answer, Serve, Served, bearer, read_events

CALL = {"table": "orders", "why": "<b>old</b>"}


async def decide(served: Served, approval: str, decision: str, **rest: Any) -> Answer:  # noqa: ANN401 - JSON
    headers = rest.pop("headers", {})
    body = {"decision": decision, **rest}
    return await served.call("POST", f"/api/v1/approvals/{approval}", json=body, headers=headers)


async def test_what_waits_is_listed_as_the_call_itself(served: Served) -> None:
    sent = await served.send("drop it", session_id="s")
    (found,) = (await served.call("GET", "/api/v1/approvals")).json["approvals"]
    assert found == {
        "id": f"apr_{sent['turn_id']}",
        "turn_id": sent["turn_id"],
        "session_id": "s",
        "bot_id": "default",
        "tool": "drop",
        "arguments": CALL,
        "state": "pending",
        "requested_at": "2026-01-01T00:00:00+00:00",
        "expires_at": "2026-01-08T00:00:00+00:00",
        "decided_at": None,
        "decided_by": "",
        "note": "",
    }
    turn = (await served.call("GET", f"/api/v1/turns/{sent['turn_id']}")).json
    assert turn["state"] == "waiting"


async def test_what_waits_can_be_asked_of_one_turn(served: Served) -> None:
    first, second = await served.send("drop one"), await served.send("drop two")
    query = {"turn_id": second["turn_id"]}
    found = (await served.call("GET", "/api/v1/approvals", params=query)).json["approvals"]
    assert [item["turn_id"] for item in found] == [second["turn_id"]]
    found = (await served.call("GET", "/api/v1/approvals", params={"limit": 1})).json["approvals"]
    assert [item["turn_id"] for item in found] == [first["turn_id"]]


async def test_a_decision_is_kept_and_the_turn_goes_on(served: Served) -> None:
    sent = await served.send("drop it")
    answer = await decide(served, f"apr_{sent['turn_id']}", "approve", note="only the copy")
    assert (answer.status, answer.json["state"], answer.json["note"]) == (
        200,
        "approved",
        "only the copy",
    )
    assert (await served.call("GET", "/api/v1/approvals")).json == {"approvals": []}
    turn = (await served.call("GET", f"/api/v1/turns/{sent['turn_id']}")).json
    assert turn["state"] == "done"


async def test_a_second_decision_is_a_conflict(served: Served) -> None:
    sent = await served.send("drop it")
    await decide(served, f"apr_{sent['turn_id']}", "deny")
    again = await decide(served, f"apr_{sent['turn_id']}", "approve")
    assert (again.status, again.error["type"]) == (409, "conflict")
    assert "denied" in again.error["message"]


async def test_another_tenant_neither_sees_nor_decides(guarded: Served) -> None:
    body = {"message": "drop it"}
    sent = await guarded.call("POST", "/api/v1/messages", json=body, headers=bearer())
    name = f"apr_{sent.json['turn_id']}"
    listed = await guarded.call("GET", "/api/v1/approvals", headers=bearer(OTHER_SECRET))
    assert listed.json == {"approvals": []}
    foreign = await decide(guarded, name, "approve", headers=bearer(OTHER_SECRET))
    assert (foreign.status, foreign.error["type"]) == (404, "not_found")
    assert (await decide(guarded, name, "approve")).status == 401
    mine = await decide(guarded, name, "approve", headers=bearer())
    assert (mine.status, mine.json["decided_by"]) == (200, "alice")


@pytest.mark.parametrize(
    "body", [{}, {"decision": "yes"}, {"decision": None}, {"decision": "deny", "note": 1}]
)
async def test_what_is_no_decision_is_refused(served: Served, body: dict[str, Any]) -> None:
    sent = await served.send("drop it")
    path = f"/api/v1/approvals/apr_{sent['turn_id']}"
    assert (await served.call("POST", path, json=body)).status == 400
    assert len((await served.call("GET", "/api/v1/approvals")).json["approvals"]) == 1


async def test_chat_answers_at_once_that_a_person_is_asked(served: Served) -> None:
    answer = await served.chat("drop it", session_id="s")
    assert answer.status == 202
    assert (answer.json["state"], answer.json["session_id"]) == ("waiting", "s")
    (asked,) = answer.json["approvals"]
    assert (asked["tool"], asked["arguments"]) == ("drop", CALL)
    assert answer.headers["X-Turn-ID"] == answer.json["turn_id"]


async def test_the_same_request_again_is_told_the_same_and_after_the_decision_the_answer(
    served: Served,
) -> None:
    headers, body = {"Idempotency-Key": "k"}, {"message": "drop it"}
    first = await served.call("POST", "/api/v1/chat", json=body, headers=headers)
    served.house.told(first.json["turn_id"]).clear()  # as after a restart
    again = await served.call("POST", "/api/v1/chat", json=body, headers=headers)
    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    await decide(served, first.json["approvals"][0]["id"], "approve")
    last = await served.call("POST", "/api/v1/chat", json=body, headers=headers)
    assert (last.status, last.json["reply"]) == (200, "**You said** drop it")


async def test_a_stream_stays_open_while_the_turn_waits_and_goes_on_after_the_decision(
    served: Served,
) -> None:
    async with asyncio.timeout(20):
        body = {"message": "drop it", "stream": True}
        async with served.http.post(served.url + "/api/v1/chat", json=body) as response:
            seen = b""
            while b"approval_requested" not in seen:
                seen += await response.content.readany()
            turn_id = response.headers["X-Turn-ID"]
            assert (await decide(served, f"apr_{turn_id}", "approve")).status == 200
            seen += await response.read()
    names = [name for _, name, _ in read_events(seen)]
    assert names.count("approval_requested") == 1
    assert names[-1] == "turn_finished"


async def test_a_reader_who_comes_when_the_stream_is_gone_is_told_what_is_asked(
    serve: Serve,
) -> None:
    served = await serve(ping_s=0.01)
    sent = await served.send("drop it")
    served.house.told(sent["turn_id"]).clear()  # as after a restart
    async with asyncio.timeout(20):
        headers = {"Last-Event-ID": "7"}
        async with served.http.get(served.url + sent["events_url"], headers=headers) as response:
            seen = b""
            while b": ping" not in seen:
                seen += await response.content.readany()
            ((number, name, data),) = read_events(seen)
            assert (number, name) == (None, "approval_requested")
            assert (data["approval_id"], data["args"]) == (f"apr_{sent['turn_id']}", CALL)
            await decide(served, data["approval_id"], "deny")
            rest = read_events(seen + await response.read())
    assert rest[-1][1] == "turn_finished"


async def test_a_stopping_daemon_does_not_wait_for_people(served: Served) -> None:
    async with asyncio.timeout(20):
        body = {"message": "drop it", "stream": True}
        async with served.http.post(served.url + "/api/v1/chat", json=body) as response:
            seen = b""
            while b"approval_requested" not in seen:
                seen += await response.content.readany()
            assert await served.gateway.lifetime.drain(15)
            served.gateway.lifetime.close()
            seen += await response.read()
    assert read_events(seen)[-1][2]["error"]["type"] == "shutting_down"
