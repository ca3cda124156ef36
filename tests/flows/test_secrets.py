"""No secret of the configuration is ever seen again: canaries in every place a secret may stand, and every fault on."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from databot.testing import model_faults as faults
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Raw, Say
from databot.types.chat import ToolCall
from tests.flows.daemon import (
    environment,
    run_databot,
    running_gateway,
    start_databot,
    write_config,
)

MODEL_KEY = "sk-C4N4RY-model-0123456789abcdefghij"
GATEWAY_KEY = "C4N4RY-gateway-0123456789"
BARE_KEY = "C4N4RY-bare-0123456789abc"
CANARIES = ("C4N4RY", "C4N4R%59")
CONNECTORS = {
    "refused": {"type": "sql", "url": "postgresql://u:C4N4RY-pg%40x@127.0.0.1:1/d"},
    "unknown": {"type": "sql", "url": "mysql://u:C4N4RY-my@no.such.invalid/d"},
    "other": {
        "type": "sql",
        "url": "mssql+pyodbc://u:C4N4RY-ms@h/d",
        "allow_unverified_read_only": True,
    },
}
PATHS = (
    "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/chat/default", "/api/v1/agents", "/api/v1/tools",
    "/api/v1/connectors", "/api/v1/channels", "/api/v1/plugins", "/api/v1/sessions", "/api/v1/sessions/s",
)  # fmt: skip


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        yield server


def config(folder: Path, model: ModelServer) -> Path:
    return write_config(
        folder,
        llm={"model": "openai/m", "api_base": model.url, "api_key": MODEL_KEY, "timeout_s": 1},
        connectors=CONNECTORS,
        agents={"router": "rules"},
        auth={
            "api_keys": [{"key": GATEWAY_KEY, "name": "us"}, BARE_KEY],
            "rate_limit": {"requests": 100_000, "per_s": 1},
        },
        observability={"log_level": "debug"},
    )


def echoes(status: int) -> Raw:
    """A vendor that repeats the key it was sent."""
    body = orjson.dumps({"error": {"message": f"Incorrect API key provided: {MODEL_KEY}"}})
    return Raw(status=status, body=body)


def queries(connector: str) -> Say:
    arguments = orjson.dumps({"sql": "SELECT 1", "connector": connector}).decode()
    return Say(calls=(ToolCall(id="c1", name="sql", arguments=arguments),))


async def trouble(url: str, model: ModelServer) -> list[str]:
    """Everything that HTTP says while everything fails."""
    told: list[str] = []
    headers = {"X-API-Key": GATEWAY_KEY}

    async def ask(http: aiohttp.ClientSession, **body: Any) -> None:  # noqa: ANN401 - JSON
        message = {"message": "@sql go", "session_id": "s", **body}
        async with http.post(url + "/api/v1/chat", json=message) as response:
            told.extend([await response.text(), str(response.headers)])

    async with aiohttp.ClientSession(headers=headers) as http:
        for status in (400, 401, 403, 404, 429, 500):
            model.always(echoes(status))
            await ask(http)
            await ask(http, stream=True)
        for fault in (faults.web_page(), faults.malformed_json(), faults.never_answers()):
            model.always(fault)
            await ask(http)
        for name in CONNECTORS:
            model.script(queries(name))
            model.always(Say(text="Fine."))
            await ask(http)
            async with http.post(f"{url}/api/v1/connectors/{name}/check") as response:
                told.append(await response.text())
        for path in PATHS:
            async with http.get(url + path) as response:
                told.append(await response.text())
        async with http.get(url + "/api/v1/sessions?x=" + GATEWAY_KEY) as response:
            told.append(await response.text())
        async with http.get(url + "/no/such/route") as response:
            told.append(await response.text())
    wrong = {"X-API-Key": GATEWAY_KEY + "x"}
    async with (
        aiohttp.ClientSession(headers=wrong) as http,
        http.get(url + "/api/v1/sessions") as response,
    ):
        assert response.status == 401
        told.append(await response.text())
    return told


@pytest.mark.parametrize("kind", ["openai/m", "litellm/openai/m"])
async def test_no_secret_is_told_by_the_gateway_its_log_or_its_files(
    tmp_path: Path, model: ModelServer, kind: str
) -> None:
    file = config(tmp_path, model)
    async with running_gateway(file, DATABOT_LLM__MODEL=kind) as daemon:
        told = await trouble(daemon.url, model)
        assert await daemon.stop() == 0
    assert len(model.requests) > 10
    assert model.requests[0].headers["Authorization"] == f"Bearer {MODEL_KEY}", "it was really sent"
    seen = {
        "http": "".join(told),
        "log": "\n".join(daemon.banner),
        "prompts": "".join(str(request.body) for request in model.requests),
    }
    for place, text in seen.items():
        assert text
        assert not [canary for canary in CANARIES if canary in text], place
    for kept in sorted((tmp_path / "data").rglob("*")):
        content = kept.read_bytes() if kept.is_file() else b""
        assert not [canary for canary in CANARIES if canary.encode() in content], kept


COMMANDS = [
    ("config", "show"), ("config", "show", "--json"), ("config", "check"), ("doctor",), ("doctor", "--json"),
    ("connectors", "list"), ("connectors", "test"), ("connectors", "test", "other"), ("plugins", "list"),
    ("tools", "run", "sql", "--args", '{"sql": "SELECT 1", "connector": "refused"}'),
    ("tools", "run", "sql", "--args", '{"sql": "SELECT 1", "connector": "refused"}', "--debug"),
    ("chat", "-m", "@sql go", "--session", "cli"), ("chat", "-m", "@sql go", "--json"),
    ("chat", "-m", "@sql go", "--debug"), ("sessions", "export", "cli"), ("sessions", "list"),
]  # fmt: skip


async def test_no_secret_is_told_by_any_command_or_its_log(
    tmp_path: Path, model: ModelServer
) -> None:
    file = config(tmp_path, model)
    model.always(echoes(401))
    for command in COMMANDS:
        status, out, err = await run_databot(*command, "--config", str(file))
        assert status in {0, 1, 2}, command
        for place, text in (("stdout", out), ("stderr", err)):
            assert not [canary for canary in CANARIES if canary in text], (command, place, text)
    for kept in sorted((tmp_path / "data").rglob("*")):
        content = kept.read_bytes() if kept.is_file() else b""
        assert not [canary for canary in CANARIES if canary.encode() in content], kept


async def test_no_secret_is_told_when_the_gateway_does_not_start(
    tmp_path: Path, model: ModelServer
) -> None:
    for url in ("postgresql+asyncpg://u:C4N4RY@127.0.0.1:1/d", "mysql://u:C4N4RY@h/d"):
        file = config(tmp_path, model)
        env = environment(DATABOT_STORAGE__URL=url)
        for extra in ((), ("--debug",)):
            process = await start_databot("gateway", "--config", str(file), *extra, env=env)
            async with asyncio.timeout(30):
                out, err = await process.communicate()
            assert process.returncode in {1, 2}
            assert not [canary for canary in CANARIES if canary in (out + err).decode()]
