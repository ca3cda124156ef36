"""Retrieval as a whole: opened, filled, asked, broken in every way, closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from databot.providers.litellm import imported
from databot.rag import model
from databot.rag.build import RagExtras, open_rag
from databot.rag.model import GRAPH_FILE, find_weights, prepared_dir, weights_dir
from databot.testing.clock import FakeClock
from tests.rag.kit import FixedConnectors, turn
from tests.rag.test_gold import gold_schema

PAGE = "# Refunds\n\nThe money is paid back within thirty days."


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "refunds.md").write_text(PAGE, encoding="utf-8")
    return folder


async def test_documents_and_schemas_are_found_and_cited(
    model_home: Path, tmp_path: Path, docs: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(model_home / "models")
    connectors = FixedConnectors(gold_schema())
    async with open_rag(
        tmp_path / "home", sources=[docs], connectors=connectors, clock=FakeClock()
    ) as rag:
        report = await rag.sync("acme")
        assert (report.added, report.problems) == (17, ())
        made = await rag.context.enrich_prompt(turn("how long until I get my money back?"))
        assert made.citations[0].source == "docs/refunds.md"
        assert made.notes == ()
        assert [part.state for part in await rag.status("acme")] == ["ok", "ok", "ok"]
        assert rag.progress("acme").last == report
        assert (await rag.context.enrich_prompt(turn("refunds", tenant_id="other"))).text == ""


async def test_an_empty_store_adds_nothing_and_says_nothing(tmp_path: Path) -> None:
    async with open_rag(tmp_path, clock=FakeClock()) as rag:
        made = await rag.context.enrich_prompt(turn("how many orders?"))
        assert (made.text, made.citations, made.notes) == ("", (), ())
        states = {part.name: part.state for part in await rag.status("acme")}
        assert states == {"embedding": "preparing", "word index": "ok", "vector index": "down"}


async def test_without_weights_words_serve_and_say_so(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "PACKAGE", "a_package_nobody_has")
    async with open_rag(tmp_path / "home", sources=[docs], clock=FakeClock()) as rag:
        report = await rag.sync("acme")
        assert report.added == 1
        assert "no weights" in report.problems[0]
        made = await rag.context.enrich_prompt(turn("when is the money paid back?"))
        assert made.citations[0].source == "docs/refunds.md"
        assert "by their words only" in made.notes[0]
        assert "pip install" in made.notes[0]
        embedding, words, vectors = await rag.status("acme")
        assert (embedding.state, words.state, vectors.state) == ("down", "ok", "down")
    assert not (tmp_path / "home" / "rag" / "chroma").exists()


async def test_weights_that_arrive_later_are_used_by_the_next_sync(
    model_home: Path, tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = find_weights(model_home)
    monkeypatch.setattr(model, "PACKAGE", "a_package_nobody_has")
    async with open_rag(tmp_path / "home", sources=[docs], clock=FakeClock()) as rag:
        await rag.sync("acme")
        folder = weights_dir(tmp_path / "home")
        folder.mkdir(parents=True)
        for name in model.SOURCE_HASHES:
            (folder / name).symlink_to(weights / name)
        report = await rag.sync("acme")
        assert (report.problems, report.updated) == ((), 1)
        made = await rag.context.enrich_prompt(turn("how long do I wait for reimbursement?"))
        assert made.citations
        assert made.notes == ()


async def test_a_damaged_vector_store_degrades_to_words(
    model_home: Path, tmp_path: Path, docs: Path
) -> None:
    home = tmp_path / "home"
    (home / "rag" / "chroma").mkdir(parents=True)
    (home / "rag" / "chroma" / "chroma.sqlite3").write_bytes(b"no database" * 1_000)
    (home / "models").symlink_to(model_home / "models")
    async with open_rag(home, sources=[docs], clock=FakeClock()) as rag:
        report = await rag.sync("acme")
        assert report.added == 1
        assert "delete the folder" in report.problems[0]
        made = await rag.context.enrich_prompt(turn("when is the money paid back?"))
        assert made.citations
        assert "by their words only" in made.notes[0]


async def test_an_embedding_service_that_is_down_degrades_to_words(
    tmp_path: Path, docs: Path
) -> None:
    extras = RagExtras(
        embedding_api_base="http://127.0.0.1:9/v1",
        embedding_api_key="sk-secret",
        load_litellm=imported,
    )
    async with open_rag(
        tmp_path / "home", embedding="openai/x", sources=[docs], clock=FakeClock(), extras=extras
    ) as rag:
        report = await rag.sync("acme")
        assert report.added == 1
        assert "did not answer" in report.problems[0]
        assert "sk-secret" not in report.problems[0]
        assert (await rag.context.enrich_prompt(turn("money back"))).citations


async def test_both_stores_damaged_still_let_the_turn_go_on(tmp_path: Path) -> None:
    (tmp_path / "rag").mkdir()
    (tmp_path / "rag" / "words.db").write_bytes(b"no database" * 1_000)
    async with open_rag(tmp_path, clock=FakeClock()) as rag:
        made = await rag.context.enrich_prompt(turn("money back"))
        assert made.text == ""
        assert made.notes[0].startswith("answered without retrieval")


def test_importing_and_opening_retrieval_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from databot.rag.build import open_rag\n"
        "from databot.types.clock import SystemClock\n"
        "async def main():\n"
        "    async with open_rag(pathlib.Path(sys.argv[1]), clock=SystemClock()): pass\n"
        "asyncio.run(main())\n"
        "heavy = {'chromadb', 'onnx', 'onnxruntime', 'tokenizers', 'litellm', 'numpy', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


async def test_a_prepared_model_is_kept_between_runs(
    model_home: Path, tmp_path: Path, docs: Path
) -> None:
    find_weights(model_home)
    async with open_rag(tmp_path, sources=[docs], clock=FakeClock()) as rag:
        await rag.sync("acme")
    made = (prepared_dir(tmp_path) / GRAPH_FILE).stat().st_mtime_ns
    async with open_rag(tmp_path, sources=[docs], clock=FakeClock()) as rag:
        assert (await rag.sync("acme")).unchanged == 1
    assert (prepared_dir(tmp_path) / GRAPH_FILE).stat().st_mtime_ns == made


def test_ending_in_the_middle_of_a_sync_ends_the_process_cleanly(
    model_home: Path, tmp_path: Path
) -> None:
    """A thread inside the model's native code when Python ends would abort the process."""
    (tmp_path / "models").symlink_to(model_home / "models")
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(200):
        text = "goods are shipped and paid back every day. " * 25
        (folder / f"{number}.md").write_text(f"# page {number}\n\n{text}", encoding="utf-8")
    script = (
        "import asyncio, sys, pathlib\n"
        "from databot.rag.build import open_rag\n"
        "from databot.types.clock import SystemClock\n"
        "async def main():\n"
        "    home = pathlib.Path(sys.argv[1])\n"
        "    async with open_rag(home, sources=[home / 'docs'], clock=SystemClock()) as rag:\n"
        "        async with asyncio.TaskGroup() as group:\n"
        "            task = group.create_task(rag.sync('acme'))\n"
        "            while rag.progress('acme').documents < 63:\n"
        "                await asyncio.sleep(0.01)\n"
        "            task.cancel()\n"
        "asyncio.run(main())\n"
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert (done.returncode, done.stderr) == (0, "")
