"""What retrieval does on a disk without room: it says so, serves what it has, and catches up."""

from pathlib import Path

from databot.rag.build import open_rag
from databot.testing.clock import FakeClock
from tests.disk import fill
from tests.rag.kit import turn


async def test_a_full_disk_is_a_problem_of_the_sync_and_the_next_one_catches_up(
    model_home: Path, tmp_path: Path, small_disk: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "refunds.md").write_text("Money is paid back within thirty days.", encoding="utf-8")
    (small_disk / "models").symlink_to(model_home / "models")
    async with open_rag(small_disk, sources=[docs], clock=FakeClock()) as rag:
        assert (await rag.sync("acme")).problems == ()
        filler = fill(small_disk)
        for number in range(40):
            text = f"Page {number}: the quokka ratio is smiles per order. " * 20
            (docs / f"{number}.md").write_text(text, encoding="utf-8")
        full = await rag.sync("acme")
        assert any("full" in problem for problem in full.problems), full.problems
        made = await rag.context.enrich_prompt(turn("when is my money paid back?"))
        assert made.citations[0].source == "docs/refunds.md"
        filler.unlink()
        assert (await rag.sync("acme")).problems == ()
        made = await rag.context.enrich_prompt(turn("what is the quokka ratio of page 39?"))
        assert made.citations
        for part in rag.index.parts:
            assert await part.count("acme", "document") >= 41
