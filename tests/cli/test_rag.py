"""`databot rag`: every tenant's index, and what a running databot finds of it."""

import asyncio
import json
from pathlib import Path

import pytest

from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider
from tests.cli.conftest import Run
from tests.rag.kit import need_weights

WAIT_S = 100
CONFIG = """
data_dir: ./data
llm: {model: offline}
rag: {sources: [./docs]}
bots:
  default: {}
  helper: {tenant: globex}
"""


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def write(docs: Path, name: str, text: str) -> None:
    (docs / name).write_text(text, encoding="utf-8")


def test_every_tenants_index_is_brought_up_to_date(databot: Run, docs: Path) -> None:
    write(docs, "z.md", "# Zebrafish\n\nThe zebrafish metric counts striped orders.")
    done = databot("rag", "ingest")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == [
        "default: 1 added",
        "globex: 1 added",
    ]
    for tenant in ("default", "globex"):
        found = databot("rag", "search", "zebrafish metric", "--tenant", tenant, "--json")
        assert [item["source"] for item in json.loads(found.stdout)] == ["docs/z.md"]
        assert "1 document chunks" in databot("rag", "status", "--tenant", tenant).stdout


def test_a_tenant_nobody_configured_is_refused_with_those_there_are(
    databot: Run, docs: Path
) -> None:
    assert docs.is_dir()
    done = databot("rag", "search", "anything", "--tenant", "globx")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "'globx'" in line
    assert "default, globex" in line


def test_an_index_folder_that_is_a_file_is_one_line(databot: Run, docs: Path) -> None:
    (docs.parent / "data").mkdir()
    write(docs.parent / "data", "rag", "a file")
    done = databot("rag", "ingest")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert all("data/rag cannot be written" in line for line in done.stderr.splitlines())


@pytest.mark.parametrize("began_empty", [True, False])
async def test_a_running_databot_finds_what_the_command_indexed(
    databot: Run, docs: Path, began_empty: bool
) -> None:
    need_weights(docs.parent)
    if not began_empty:
        write(docs, "z.md", "# Zebrafish\n\nThe zebrafish metric counts striped orders.")
    provider = ScriptedProvider(lambda _: "ok")
    settings = {"rag": {"enabled": True, "sources": [str(docs)]}}
    home = docs.parent / "data"
    async with (
        asyncio.timeout(WAIT_S),
        running_databot(settings, provider=provider, data_dir=home, background=False) as bot,
    ):
        assert bot.rag is not None
        await bot.rag.sync("default")
        await bot.ask("How does the quokka ratio work?")
        assert "smiles per order" not in prompt(provider)
        write(docs, "q.md", "# Quokka\n\nThe quokka ratio is smiles per order.")
        done = await asyncio.to_thread(databot, "rag", "ingest")
        assert done.stdout.splitlines()[0].startswith("default: 1 added"), done.stderr
        await bot.ask("How does the quokka ratio work?")
        assert "smiles per order" in prompt(provider)
        for part in bot.rag.index.parts:
            best, *_ = await part.search("default", "document", "quokka ratio", 3)
            assert best.chunk.source == "docs/q.md"


def prompt(provider: ScriptedProvider) -> str:
    """What the model was last asked with."""
    return "\n".join(message.content for message in provider.requests[-1].messages)
