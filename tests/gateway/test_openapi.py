"""The description of the API is true: it names every route, and the gateway does nothing it does not say."""

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from databot.gateway.app import make_app, make_routes
from databot.gateway.context import GATEWAY
from databot.gateway.openapi import PATH_PARAMETER, make_document
from databot.gateway.options import GatewayOptions, RateLimitOptions
from databot.gateway.server import listening
from databot.types.messages import ConversationKey
from tests.gateway.conftest import KEYS, Served, bearer
from tests.gateway.house import House

EXAMPLES = 20


def document(*, secured: bool = True) -> dict[str, Any]:
    app = make_app(House().services(), GatewayOptions(api_keys=KEYS if secured else ()))
    return make_document(make_routes(app[GATEWAY]), version="1", secured=secured)


@pytest.mark.parametrize("secured", [True, False])
def test_the_document_is_valid(secured: bool) -> None:
    validate(orjson.loads(orjson.dumps(document(secured=secured))))


def test_every_served_route_is_described_and_nothing_else() -> None:
    app = make_app(House().services(), GatewayOptions())
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {
        (method, path) for path, methods in document()["paths"].items() for method in methods
    }
    assert served == described


def test_every_parameter_that_is_read_is_described() -> None:
    paths = document()["paths"]

    def named(method: str, path: str) -> set[str]:
        return {each["name"] for each in paths[f"/api/v1/{path}"][method]["parameters"]}

    assert named("get", "turns/{turn_id}/events") == {"turn_id", "Last-Event-ID", "after", "html"}
    assert named("get", "sessions/{session_id}") == {"session_id", "bot_id", "html"}
    assert named("delete", "sessions/{session_id}") == {"session_id", "bot_id"}


def test_only_public_routes_are_described_as_open() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            assert (operation.get("security") == []) == (not path.startswith("/api/")), path


async def test_the_document_and_the_page_made_from_it_are_served(served: Served) -> None:
    answer = await served.call("GET", "/openapi.json")
    assert answer.json["openapi"].startswith("3.1")
    page = await served.call("GET", "/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in answer.json["paths"]:
        assert path.encode() in page.body


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    positive_data_acceptance,
    negative_data_rejection,
]
KNOWN = {"turn_id": "turn_1", "session_id": "s", "artifact_id": "art_1", "bot_id": "default"}
schema = schemathesis.openapi.from_dict(orjson.loads(orjson.dumps(document())))
FUZZED = [
    (method.upper(), path)
    for path, methods in document()["paths"].items()
    for method in methods
    if path != "/api/v1/ws"  # a WebSocket is no request and reply
]


@pytest.mark.parametrize(("method", "path"), FUZZED)
async def test_fuzzing_finds_no_fault_and_nothing_undocumented(method: str, path: str) -> None:
    house = House()
    options = GatewayOptions(
        api_keys=KEYS, rate_limit=RateLimitOptions(requests=1_000_000, per_s=1)
    )
    app = make_app(house.services(), options)
    conversation = ConversationKey(tenant_id="default", bot_id="default", session_id="s")
    await house.save(conversation, "a.csv", "text/csv", b"a,b\n")
    async with listening(app, "127.0.0.1", 0, drain_s=0.1) as url:
        seen = await asyncio.to_thread(fuzz, url, method, path)
    assert len(seen) >= 1


def fuzz(url: str, method: str, path: str) -> Counter[int]:
    """Send valid and invalid requests, to things that exist and things that do not; the statuses that came."""
    operation = schema[path][method]
    known = {name: KNOWN.get(name, "warehouse") for name in PATH_PARAMETER.findall(path)}
    cases = operation.as_strategy(GenerationMode.POSITIVE)
    if known:
        cases |= operation.as_strategy(GenerationMode.POSITIVE, path_parameters=known)
    if "requestBody" in document()["paths"][path][method.lower()]:
        cases |= operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=known)
    seen = Counter[int]()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=cases)
    def check(case: Any) -> None:  # noqa: ANN401 - schemathesis has no public type for it
        response = case.call_and_validate(base_url=url, headers=bearer(), checks=CHECKS)
        seen[response.status_code] += 1

    check()
    return seen
