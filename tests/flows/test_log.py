"""What the operator of a real daemon reads: every turn once, its work on demand, and never what was said."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from databot.testing.model_faults import wrong_key
from databot.testing.model_server import ModelServer
from tests.flows.daemon import running_gateway, write_config
from tests.flows.test_main_path import ANSWER, QUERY, llm

PRIVATE = (
    "leads with",
    r"SUM\(",
    "revenue by country",
    r"\b150\b(?! ms|\.\d)",
    "not-a-real-key",
    "Norway",
)
"""What was said, asked and found; 150 may well be a part of an id or a time."""


async def log_of(folder: Path, level: str, style: str) -> list[str]:
    """The lines of a daemon that answered one question and failed at another."""
    async with ModelServer() as model:
        logs = {"log_level": level, "log_format": style}
        config = write_config(folder, llm=llm(model), observability=logs, agents={"enabled": False})
        async with running_gateway(config) as daemon:
            model.call_tool("sql", {"sql": QUERY})
            model.reply_with(ANSWER)
            await daemon.ask("revenue by country", session_id="quarter")
            model.script(wrong_key())
            status, _ = await daemon.post("/api/v1/chat", {"message": "again"})
            assert status == 502
            await daemon.stop()
        return [line.replace(str(folder), "FOLDER") for line in daemon.banner]


def leaks(lines: list[str]) -> list[str]:
    return [line for line in lines if any(re.search(word, line) for word in PRIVATE)]


def turns_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("event") == "turn"]


async def test_every_line_of_a_json_log_is_json_and_each_turn_has_one(tmp_path: Path) -> None:
    told = await log_of(tmp_path, "info", "json")
    lines = [json.loads(line) for line in told]
    assert " is ready at http://" in lines[0]["message"]
    done, failed = turns_of(lines)
    assert done["session_id"] == "quarter"
    assert (done["outcome"], done["tools"], done["agent"]) == ("completed", 1, "general")
    assert done["turn_id"].startswith("turn_")
    assert done["ms"] > 0
    assert done["input_tokens"] > 0
    assert failed["outcome"] == "model_auth_failed"
    assert {line["level"] for line in lines} <= {"info", "warning"}
    assert not leaks(told)


async def test_debug_tells_of_requests_tools_and_model_calls_too(tmp_path: Path) -> None:
    told = await log_of(tmp_path, "debug", "json")
    lines = [json.loads(line) for line in told]
    texts = [line["message"] for line in lines]
    assert sum(text.startswith("POST /api/v1/chat 200 in ") for text in texts) == 1
    assert sum(text.startswith("POST /api/v1/chat 502 in ") for text in texts) == 1
    assert sum(text.startswith("tool sql ok in ") for text in texts) == 1
    assert sum(text.startswith("model call: model=") for text in texts) == 2
    assert len(turns_of(lines)) == 2
    ours = [line for line in told if '"databot' in line and '"debug"' in line]
    assert not leaks(ours)


@pytest.mark.parametrize(("level", "lines"), [("info", 2), ("warning", 0)])
async def test_a_text_log_has_a_line_a_turn_unless_only_trouble_is_wanted(
    tmp_path: Path, level: str, lines: int
) -> None:
    told = await log_of(tmp_path, level, "text")
    ended = [line for line in told if " ended: " in line]
    assert len(ended) == lines
    assert all(line.count("turn_") == 1 for line in ended)
    assert " is ready at http://" in told[0]
