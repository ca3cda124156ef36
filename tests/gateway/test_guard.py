"""Who comes in: keys, hosts, origins, limits, and the form of every refusal."""

import pytest
from aiohttp import web

from databot.gateway.app import check_declared, make_app, make_routes
from databot.gateway.base import ComponentStatus
from databot.gateway.options import ApiKeyOptions, GatewayOptions, RateLimitOptions, check_binding
from databot.types.errors import ConfigError
from tests.gateway.conftest import KEYS, OTHER_SECRET, SECRET, Serve, Served, bearer
from tests.gateway.house import House


def concrete(path: str) -> str:
    """A path that fits the template."""
    return (
        path.replace("{bot_id}", "default")
        .replace("{name}", "chat.css")
        .replace("{", "")
        .replace("}", "")
    )


async def test_every_route_that_is_not_public_refuses_a_caller_without_a_key(
    guarded: Served,
) -> None:
    refused = 0
    for route in make_routes(guarded.gateway):
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": f"Basic {SECRET}"}):
            answer = await guarded.call(route.method, concrete(route.path), headers=headers)
            if route.permission == "public":
                assert answer.status in {200, 307}, route.path
            elif route.socket and "X-API-Key" not in headers:
                assert answer.status == 400, "a WebSocket may authenticate in its first frame"
            else:
                assert (answer.status, answer.error["type"]) == (401, "unauthorized"), route.path
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="databot"'
                refused += 1
    assert refused > 30


async def test_a_route_outside_the_table_keeps_the_gateway_from_starting() -> None:
    app = web.Application()

    async def stray(_: web.Request) -> web.Response:
        raise NotImplementedError

    app.router.add_get("/stray", stray)
    with pytest.raises(ConfigError, match="stray"):
        check_declared(app, {})


@pytest.mark.parametrize(
    "headers", [bearer(), {"X-API-Key": SECRET}, {"Authorization": f"bearer   {SECRET}"}]
)
async def test_a_key_is_taken_from_either_header(guarded: Served, headers: dict[str, str]) -> None:
    assert (await guarded.call("GET", "/api/v1/agents", headers=headers)).status == 200


@pytest.mark.parametrize("key", ["", " ", "x" * 5000, SECRET + "x", SECRET[:-1], SECRET.upper()])
async def test_a_key_that_is_not_exactly_one_of_ours_is_refused(guarded: Served, key: str) -> None:
    answer = await guarded.call("GET", "/api/v1/agents", headers={"X-API-Key": key})
    assert answer.status == 401
    assert SECRET.encode() not in answer.body


async def test_nothing_of_one_tenant_exists_for_another(guarded: Served) -> None:
    sent = await guarded.call(
        "POST",
        "/api/v1/messages",
        json={"message": "hold on", "session_id": "private"},
        headers=bearer(),
    )
    turn_id = sent.json["turn_id"]
    conversation = guarded.house.records[turn_id].conversation
    file = await guarded.house.save(conversation, "a.csv", "text/csv", b"secret")
    for method, path in (
        ("GET", f"/api/v1/turns/{turn_id}"),
        ("GET", f"/api/v1/turns/{turn_id}/events"),
        ("POST", f"/api/v1/turns/{turn_id}/cancel"),
        ("GET", "/api/v1/sessions/private"),
        ("DELETE", "/api/v1/sessions/private"),
        ("GET", f"/api/v1/artifacts/{file.id}"),
    ):
        theirs = await guarded.call(method, path, headers=bearer(OTHER_SECRET))
        assert (theirs.status, theirs.error["type"]) == (404, "not_found"), path
    listed = await guarded.call("GET", "/api/v1/sessions", headers=bearer(OTHER_SECRET))
    assert listed.json["sessions"] == []
    assert guarded.house.records[turn_id].state == "running"


async def test_two_callers_of_a_tenant_may_choose_the_same_idempotency_key(serve: Serve) -> None:
    second = ApiKeyOptions(name="carol", secret="gamma-secret-0123456789")
    served = await serve(api_keys=(*KEYS, second))
    ids = []
    for secret in (SECRET, second.secret):
        headers = bearer(secret) | {"Idempotency-Key": "1"}
        answer = await served.call(
            "POST", "/api/v1/messages", json={"message": secret}, headers=headers
        )
        ids.append(answer.json["turn_id"])
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "127.0.0.1:x", "", "[::1"],
)
async def test_without_keys_a_foreign_host_name_is_refused(served: Served, host: str) -> None:
    answer = await served.call("GET", "/api/v1/agents", headers={"Host": host})
    assert (answer.status, answer.error["type"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "host", ["localhost:1", "LOCALHOST", "127.0.0.1", "127.8.9.10:99", "[::1]:5"]
)
async def test_without_keys_every_name_of_this_machine_is_served(served: Served, host: str) -> None:
    answer = await served.call("GET", "/api/v1/agents", headers={"Host": host})
    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1@evil.example"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_without_keys_a_foreign_page_cannot_change_anything(
    served: Served, headers: dict[str, str]
) -> None:
    answer = await served.call("POST", "/api/v1/chat", json={"message": "x"}, headers=headers)
    assert (answer.status, answer.error["type"]) == (403, "forbidden")
    assert served.house.records == {}


async def test_our_own_page_may(served: Served) -> None:
    headers = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    answer = await served.call("POST", "/api/v1/chat", json={"message": "x"}, headers=headers)
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_page_of_an_allowed_origin_may_call_and_read(serve: Serve) -> None:
    served = await serve(cors_origins=("https://app.example",))
    headers = {"Origin": "https://app.example"}
    asked = headers | {"Access-Control-Request-Method": "POST"}
    before = await served.call("OPTIONS", "/api/v1/chat", headers=asked)
    assert before.status == 204
    assert "POST" in before.headers["Access-Control-Allow-Methods"]
    answer = await served.call("POST", "/api/v1/chat", json={"message": "x"}, headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert answer.headers["Vary"] == "Origin"
    other = await served.call("OPTIONS", "/api/v1/chat", headers={"Origin": "https://x.example"})
    assert other.status == 405
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_the_request_id_is_echoed_when_it_is_safe_and_made_when_not(served: Served) -> None:
    given = await served.call("GET", "/healthz", headers={"X-Request-ID": "abc-1"})
    assert given.headers["X-Request-ID"] == "abc-1"
    for bad in ("a b", "x" * 129, "<script>"):
        made = await served.call("GET", "/healthz", headers={"X-Request-ID": bad})
        assert made.headers["X-Request-ID"].startswith("req_")


async def test_a_caller_over_its_share_waits_and_others_do_not(serve: Serve) -> None:
    served = await serve(api_keys=KEYS, rate_limit=RateLimitOptions(requests=3, per_s=3600))
    for _ in range(3):
        assert (await served.call("GET", "/api/v1/agents", headers=bearer())).status == 200
    refused = await served.call("GET", "/api/v1/agents", headers=bearer())
    assert (refused.status, refused.error["type"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) >= 1
    other = await served.call("GET", "/api/v1/agents", headers=bearer(OTHER_SECRET))
    assert other.status == 200
    assert (await served.call("GET", "/healthz")).status == 200


async def test_guessing_keys_is_limited_by_address_and_does_not_lock_out_the_owner(
    serve: Serve,
) -> None:
    served = await serve(api_keys=KEYS, rate_limit=RateLimitOptions(requests=3, per_s=3600))
    statuses = [
        (await served.call("GET", "/api/v1/agents", headers=bearer(f"guess-{n}"))).status
        for n in range(5)
    ]
    assert statuses == [401, 401, 401, 429, 429]
    assert (await served.call("GET", "/api/v1/agents", headers=bearer())).status == 200


async def test_a_trusted_proxy_tells_addresses_apart_and_others_cannot_pretend(
    serve: Serve,
) -> None:
    limit = RateLimitOptions(requests=1, per_s=3600)
    behind = await serve(trusted_proxies=("127.0.0.0/8",), rate_limit=limit)
    open_ = await serve(rate_limit=limit)
    for served, expected in ((behind, [200, 200]), (open_, [200, 429])):
        statuses = [
            (await served.call("GET", "/api/v1/agents", headers={"X-Forwarded-For": hop})).status
            for hop in ("198.51.100.1", "198.51.100.2")
        ]
        assert statuses == expected


@pytest.mark.parametrize("path", ["/healthz", "/chat/default", "/nowhere", "/api/v1/agents"])
async def test_every_answer_carries_the_security_headers(served: Served, path: str) -> None:
    answer = await served.call("GET", path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Server"] == "databot"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", ""])
def test_an_address_others_can_reach_needs_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="no auth"):
        check_binding(host, ())
    check_binding(host, KEYS)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    check_binding(host, ())


def test_secrets_are_not_in_the_options_as_text() -> None:
    assert SECRET not in repr(GatewayOptions(api_keys=KEYS))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cors_origins": ("*",)}, "cors_origins"),
        ({"cors_origins": ("https://a.example/path",)}, "cors_origins"),
        ({"public_url": "ftp://x"}, "public_url"),
        ({"trusted_proxies": ("everyone",)}, "trusted_proxies"),
        ({"api_keys": (KEYS[0], ApiKeyOptions(name="b", secret=SECRET))}, "same secret"),
        ({"api_keys": (KEYS[0], ApiKeyOptions(name="alice", secret="x" * 20))}, "two keys .*alice"),
    ],
)
def test_options_that_cannot_be_used_are_refused_at_start(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        make_app(House().services(), GatewayOptions(**options))  # pyright: ignore[reportArgumentType] - cases of many types


async def test_readiness_says_why_only_to_those_who_may_know(guarded: Served) -> None:
    guarded.house.parts = [
        ComponentStatus(name="storage", ready=True),
        ComponentStatus(name="model", ready=False, detail="10.0.0.7 refuses"),
    ]
    stranger = await guarded.call("GET", "/readyz")
    assert (stranger.status, stranger.json["status"]) == (503, "not_ready")
    assert b"10.0.0.7" not in stranger.body
    owner = await guarded.call("GET", "/readyz", headers=bearer())
    assert owner.json["components"][1]["detail"] == "10.0.0.7 refuses"


async def test_a_part_that_is_not_required_does_not_make_it_unready(served: Served) -> None:
    served.house.parts = [ComponentStatus(name="rag", ready=False, required=False)]
    assert (await served.call("GET", "/readyz")).status == 200


async def test_counters_are_told_by_route_template(serve: Serve) -> None:
    served = await serve()
    await served.send("x")
    await served.call("GET", "/api/v1/turns/nope")
    await served.call("PATCH", "/nowhere")
    text = (await served.call("GET", "/metrics")).body.decode()
    assert 'route="/api/v1/turns/{turn_id}",status="404"} 1' in text
    assert 'databot_http_requests_total{method="other",route="(none)",status="404"} 1' in text
    assert 'databot_turns_accepted_total{door="messages"} 1' in text
    assert 'databot_http_request_seconds_bucket{route="/api/v1/messages",le="+Inf"} 1' in text
    hidden = await serve(metrics=False)
    assert (await hidden.call("GET", "/metrics")).status == 404
