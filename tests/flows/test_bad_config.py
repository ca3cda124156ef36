"""A gateway that cannot start says why in one line, gives the right status and breaks nothing."""

import asyncio
import os
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from databot.cli.settings_check import problems
from databot.config.settings import Settings
from databot.types.errors import ConfigError, describe
from tests.flows.daemon import environment, run_databot, running_gateway, start_databot

CANARY = "c4nary-0123456789abcdef"


async def start(config: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """The status and what stderr says, of a gateway that is expected not to start."""
    process = await start_databot(
        "gateway", "--config", str(config), *arguments, env=environment(**env)
    )
    try:
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        _, err = await process.communicate()
        raise AssertionError(f"the gateway did start: {err.decode()}") from None
    assert out == b""
    return process.returncode or 0, err.decode()


async def refused(config: Path, *arguments: str, **env: str) -> tuple[int, str]:
    status, said = await start(config, *arguments, **env)
    assert len(said.splitlines()) == 1, said
    assert said.startswith("databot: ")
    assert CANARY not in said
    return status, said


def write(folder: Path, content: dict[str, Any] | str | bytes) -> Path:
    file = folder / "config.yaml"
    if isinstance(content, dict):
        base: dict[str, Any] = {
            "data_dir": str(folder / "data"),
            "rag": {"enabled": False},
            "llm": {"model": "offline"},
            "gateway": {"port": 0},
        }
        content = yaml.safe_dump({**base, **content})
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


ON_POSTGRES = {"storage": {"url": "postgresql+asyncpg://127.0.0.1:1/d"}}
MISTAKES: dict[str, tuple[dict[str, Any] | str | bytes, str]] = {
    "a misspelt key": ({"llm": {"modle": "x"}}, "did you mean 'llm.model'"),
    "a misspelt section": ({"lmm": {}}, "did you mean 'llm'"),
    "a wrong type": ({"gateway": {"port": "many"}}, "gateway.port"),
    "a broken reference": ({"llm": {"model": "${X"}}, "llm.model"),
    "an unset variable": ({"llm": {"api_key": "${NO_SUCH_VARIABLE}"}}, "NO_SUCH_VARIABLE"),
    "a missing secret file": ({"llm": {"api_key": "file:/no/such"}}, "llm.api_key"),
    "no YAML": ("llm: [unclosed\n  a: b: c", "line 2"),
    "a section twice": ("llm: {model: offline}\nllm: {model: x}\n", "line 2"),
    "a section in itself": ("bots: &x {a: {}, b: *x}\n", "in itself"),
    "no text": (bytes(range(256)), "cannot be read"),
    "a list": ("- a\n- b\n", "mapping"),
    "no bots": ({"bots": {}}, "bots"),
    "no model": ({"llm": {"model": ""}}, "llm.model"),
    "an unknown connector type": ({"connectors": {"a": {"type": "sqql"}}}, "did you mean 'sql'"),
    "a connector without a type": ({"connectors": {"a": {"url": "x"}}}, "connectors.a.type"),
    "a misspelt connector key": (
        {"connectors": {"a": {"type": "sql", "url": "sqlite:///x", "max_rowz": 1}}},
        "max_rows",
    ),
    "an unknown database": (
        {"connectors": {"a": {"type": "sql", "url": f"nosuch://u:{CANARY}@h/d"}}},
        "connectors.a",
    ),
    "an unknown channel": ({"channels": {"slak": {}}}, "channels.slak"),
    "an unknown middleware": ({"middleware": ["nope"]}, "nope"),
    "an unknown tool": ({"bots": {"default": {"tools": ["slq"]}}}, "bots.default.tools"),
    "an approval of no tool": ({"agent": {"approval_required": ["slq"]}}, "approval_required"),
    "a bot's unknown connector": ({"bots": {"default": {"connectors": ["x"]}}}, "'x'"),
    "an open door": ({"gateway": {"host": "0.0.0.0"}}, "auth.api_keys"),
    "a short key": ({"auth": {"api_keys": ["short"]}}, "auth.api_keys"),
    "a model address that is none": ({"llm": {"model": "openai/x", "api_base": "garbage"}}, "llm.api_base"),
    "a model port that is none": ({"llm": {"model": "litellm/openai/x", "api_base": "http://h:99999/v1"}}, "llm.api_base"),
    "a storage that is none": ({"storage": {"url": f"nonsense://u:{CANARY}@h"}}, "storage.url"),
    "a data folder that is a file": ({"data_dir": "/dev/null"}, "data_dir"),
    "a data folder no system takes": ({"data_dir": "a\0b"}, "data_dir"),
    "another's database for our own": ({"storage": {"url": f"mysql://u:{CANARY}@h/d"}}, "storage.url"),
    "a database of ours in memory": ({"storage": {"url": "sqlite+aiosqlite:///:memory:"}}, "storage.url"),
    "an unknown memory": ({"memory": {"strategy": "vector"}}, "memory.strategy"),
    "one secret twice": ({"auth": {"api_keys": [CANARY, {"key": CANARY, "name": "b"}]}}, "same secret"),
    "one name twice": (
        {"auth": {"api_keys": [{"key": CANARY}, {"key": CANARY + "x"}]}},
        "two keys of the tenant 'default' have the name 'api'",
    ),
    "an origin that is none": ({"gateway": {"cors_origins": ["nonsense"]}}, "gateway.cors_origins"),
    "a proxy that is none": ({"gateway": {"trusted_proxies": ["everyone"]}}, "gateway.trusted_proxies"),
    "an address that is none": ({"gateway": {"public_url": "https://h:99999"}}, "gateway.public_url"),
    "an engine that is none": ({"dispatch": {"url": f"kafka://u:{CANARY}@h"}}, "dispatch.url"),
    "an engine's address that is none": ({**ON_POSTGRES, "dispatch": {"url": f"redis://:{CANARY}@h:x/0"}}, "dispatch.url has a port"),
    "an unknown option of the engine": ({**ON_POSTGRES, "dispatch": {"url": f"postgres://u:{CANARY}@h/d?x=1"}}, "unknown option"),
    "Redis between replicas of one file": ({"dispatch": {"url": f"redis://:{CANARY}@h/0"}}, "only one daemon can have"),
    "PostgreSQL between replicas of one file": ({"dispatch": {"url": "postgres://"}}, "only one daemon can have"),
    "a collector that is none": ({"observability": {"otlp_endpoint": "nonsense"}}, "otlp_endpoint"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_in_the_configuration_is_told_in_one_line(
    tmp_path: Path, name: str
) -> None:
    content, expected = MISTAKES[name]
    status, said = await refused(write(tmp_path, content))
    assert (status, expected in said) == (2, True), said


@pytest.mark.parametrize("name", MISTAKES)
def test_config_check_refuses_what_the_gateway_refuses(tmp_path: Path, name: str) -> None:
    content, expected = MISTAKES[name]
    file = write(tmp_path, content)
    before = set(tmp_path.rglob("*"))
    try:
        told = problems(Settings.load(file, {}))
    except ConfigError as error:
        told = [describe(error)]
    assert any(expected in line for line in told), told
    assert not any(CANARY in line for line in told)
    assert set(tmp_path.rglob("*")) == before


async def test_the_gateway_tells_all_mistakes_at_once_and_makes_nothing(tmp_path: Path) -> None:
    wrong = {"middleware": ["nope"], "memory": {"strategy": "vector"}, "channels": {"slak": {}}}
    status, said = await refused(write(tmp_path, wrong))
    assert status == 2
    assert all(part in said for part in ("'nope'", "'vector'", "slak")), said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("module", "section", "extra"),
    [
        ("asyncpg", {"storage": {"url": "postgresql+asyncpg://h/d"}}, "postgres"),
        (
            "opentelemetry.exporter.otlp.proto.http",
            {"observability": {"otlp_endpoint": "http://127.0.0.1:1"}},
            "otel",
        ),
        ("redis", {**ON_POSTGRES, "dispatch": {"url": "redis://h"}}, "redis"),
        ("procrastinate", {**ON_POSTGRES, "dispatch": {"url": "postgres://"}}, "procrastinate"),
        ("psycopg", {**ON_POSTGRES, "dispatch": {"url": "postgres://"}}, "procrastinate"),
    ],
)
def test_config_check_names_the_extra_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, module: str, section: dict[str, Any], extra: str
) -> None:
    settings = Settings.parse(section)
    assert problems(settings) == []
    monkeypatch.setitem(sys.modules, module, None)
    (told,) = problems(settings)
    assert f"databot-daemon[{extra}]" in told


async def test_a_missing_file_is_told(tmp_path: Path) -> None:
    status, said = await refused(tmp_path / "none.yaml")
    assert status == 2
    assert "does not exist" in said


async def test_variables_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    env = {"DATABOT_LLM": "x", "DATABOT_LLM__MODEL": "y"}
    status, said = await refused(write(tmp_path, {}), **env)
    assert (status, "DATABOT_LLM__MODEL" in said) == (2, True), said


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, said = await refused(write(tmp_path, {}), "--port", port)
    assert (status, f"127.0.0.1:{port}" in said) == (2, True), said


async def test_a_database_of_ours_that_does_not_answer_is_a_failure_without_its_password(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql+asyncpg://u:{CANARY}@127.0.0.1:{port}/d"
    status, said = await refused(write(tmp_path, {"storage": {"url": url}}))
    assert (status, "does not answer" in said) == (1, True), said


async def test_a_second_gateway_on_one_file_is_refused_and_the_first_goes_on(
    tmp_path: Path,
) -> None:
    config = write(tmp_path, {})
    async with running_gateway(config) as first:
        status, said = await refused(config)
        assert (status, "another databot" in said) == (2, True), said
        assert (await first.get("/readyz"))[0] == 200
        status, body = await first.post("/api/v1/chat", {"message": "hello"})
        assert (status, bool(body["reply"])) == (200, True)


@pytest.mark.parametrize(
    "content", [b"this is no database " * 400, b"SQLite format 3\0" + b"\xff" * 8000]
)
async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "databot.db"
    file.write_bytes(content)
    status, said = await refused(write(tmp_path, {}))
    assert (status, str(file) in said) == (2, True), said
    assert file.read_bytes() == content


async def test_a_damaged_page_is_told_and_not_a_stack(tmp_path: Path) -> None:
    config = write(tmp_path, {})
    async with running_gateway(config) as daemon:
        await daemon.ask("hello")
        await daemon.stop()
    file = tmp_path / "data" / "databot.db"
    raw = bytearray(file.read_bytes())
    raw[100:4096] = b"\xab" * 3996
    file.write_bytes(bytes(raw))
    status, said = await refused(config)
    assert status in {1, 2}
    assert "restore it from a backup" in said


async def test_the_database_of_a_newer_databot_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path, {})
    async with running_gateway(config) as daemon:
        await daemon.stop()
    with sqlite3.connect(tmp_path / "data" / "databot.db") as db:
        db.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    db.close()
    status, said = await refused(config)
    assert (status, "newer" in said) == (2, True), said


async def test_config_check_tells_every_mistake_the_gateway_would(tmp_path: Path) -> None:
    wrong = {
        "connectors": {"a": {"type": "sqql"}, "b": {"type": "sql"}},
        "agent": {"approval_required": ["slq"]},
        "channels": {"slak": {}},
    }
    status, out, err = await run_databot("config", "check", "--config", str(write(tmp_path, wrong)))
    assert (status, out) == (2, "")
    for part in ("connectors.a", "connectors.b", "approval_required", "channels.slak"):
        assert part in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_data_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    status, said = await refused(write(tmp_path, {}))
    assert (status, "data" in said) == (2, True), said
