"""Reading folders: what is taken, what is refused, and that a problem never stops the rest."""

import os
from pathlib import Path

import pytest

from databot.rag import loaders
from databot.rag.base import Document, SourceProblem
from databot.rag.loaders import FolderSource


async def read(source: FolderSource) -> tuple[dict[str, Document], dict[str, str]]:
    documents: dict[str, Document] = {}
    problems: dict[str, str] = {}
    async for item in source.documents("acme"):
        if isinstance(item, SourceProblem):
            problems[item.source] = item.detail
        else:
            documents[item.source] = item
    return documents, problems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    (made / "deep").mkdir(parents=True)
    (made / "guide.md").write_text("---\nowner: ann\n---\n# The guide\n\nText.", encoding="utf-8")
    (made / "deep" / "on_call-rules.txt").write_text("Call Ann.", encoding="utf-8")
    (made / "deep" / "churn.sql").write_text("SELECT 1;", encoding="utf-8")
    (made / "logo.png").write_bytes(b"\x89PNG\0\0")
    (made / ".git").mkdir()
    (made / ".git" / "notes.md").write_text("hidden", encoding="utf-8")
    return made


async def test_a_folder_gives_its_texts_under_stable_names(folder: Path) -> None:
    documents, problems = await read(FolderSource([folder]))
    assert problems == {}
    assert {source: document.title for source, document in documents.items()} == {
        "docs/guide.md": "The guide",
        "docs/deep/on_call-rules.txt": "on call rules",
        "docs/deep/churn.sql": "churn",
    }
    assert "owner" not in documents["docs/guide.md"].text
    assert documents["docs/deep/churn.sql"].text == "```sql\nSELECT 1;\n```"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Größe: 30 €".encode(), "Größe: 30 €"),
        (b"\xef\xbb\xbfmarked", "marked"),
        ("wide Größe".encode("utf-16"), "wide Größe"),
        ("Größe: 30 €".encode("cp1252"), "Größe: 30 €"),
        (b"a\r\nb", "a\nb"),
        (b"", ""),
    ],
)
async def test_encodings_are_recognised(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    documents, _ = await read(FolderSource([tmp_path / "a.txt"]))
    assert documents["a.txt"].text == text


async def test_binary_large_and_unreadable_files_are_told_and_the_rest_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "MAX_FILE_BYTES", 1_000)
    (folder / "binary.md").write_bytes(b"ab\0cd")
    (folder / "noise.md").write_bytes(bytes(range(1, 256)))
    (folder / "large.md").write_text("x" * 1_001, encoding="utf-8")
    (folder / "gone.md").symlink_to(folder / "nothing.md")
    os.mkfifo(folder / "pipe.md")
    documents, problems = await read(FolderSource([folder]))
    assert len(documents) == 3
    assert set(problems) == {
        f"docs/{name}.md" for name in ("binary", "noise", "large", "gone", "pipe")
    }
    assert "binary" in problems["docs/binary.md"]
    assert "larger than" in problems["docs/large.md"]
    assert "not a plain file" in problems["docs/pipe.md"]


async def test_links_out_of_the_folder_are_refused_and_circles_end(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.md").write_text("secret", encoding="utf-8")
    (tmp_path / "docs-evil").mkdir()
    (tmp_path / "docs-evil" / "secret.md").write_text("secret", encoding="utf-8")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    (folder / "evil").symlink_to(tmp_path / "docs-evil")
    (folder / "deep" / "circle").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    documents, problems = await read(FolderSource([folder]))
    assert len(documents) == 3
    assert not any("secret" in document.text for document in documents.values())
    assert {"docs/out.md", "docs/evil"} <= set(problems)


async def test_a_source_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    documents, problems = await read(FolderSource([tmp_path / "nowhere"]))
    assert documents == {}
    assert "No such file" in problems["nowhere"]


async def test_two_folders_of_one_name_stay_apart(tmp_path: Path) -> None:
    roots = [tmp_path / part / "docs" for part in ("a", "b")]
    for root in roots:
        root.mkdir(parents=True)
        (root / "x.md").write_text(str(root), encoding="utf-8")
    documents, _ = await read(FolderSource(roots))
    assert set(documents) == {f"{root.as_posix()}/x.md" for root in roots}


async def test_too_many_files_are_cut_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "MAX_FILES", 2)
    documents, problems = await read(FolderSource([folder]))
    assert len(documents) == 2
    assert "more than 2 files" in problems["docs/"]


async def test_a_plugin_loader_reads_its_suffix_and_its_failure_is_one_problem(
    folder: Path,
) -> None:
    class Shouting:
        suffixes = frozenset({".shout", ".txt"})

        def load(self, name: str, data: bytes) -> str:
            if name.startswith("bad"):
                raise LookupError("a plugin's own bug")
            return data.decode().upper()

    (folder / "a.shout").write_text("loud", encoding="utf-8")
    (folder / "bad.shout").write_text("loud", encoding="utf-8")
    documents, problems = await read(FolderSource([folder], [Shouting()]))
    assert documents["docs/a.shout"].text == "LOUD"
    assert documents["docs/deep/on_call-rules.txt"].text == "CALL ANN."
    assert "LookupError" in problems["docs/bad.shout"]


async def test_names_of_any_bytes_become_one_storable_line_each(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in (
        b"two\nlines.md",
        b"not-utf8-\xff.md",
        b"escape\x1b[31m.md",
        "Größe 🎉.md".encode(),
    ):
        (folder / os.fsdecode(name)).write_text("Refunds take thirty days.", encoding="utf-8")
    (folder / "bad\nname.md").write_bytes(b"\0")
    documents, problems = await read(FolderSource([folder]))
    assert set(documents) == {
        "docs/two\\nlines.md",
        "docs/not-utf8-\\udcff.md",
        "docs/escape\\x1b[31m.md",
        "docs/Größe 🎉.md",
    }
    assert problems == {
        "docs/bad\\nname.md": "docs/bad\\nname.md was left out: it is a binary file"
    }
    titles = [document.title for document in documents.values()]
    assert all(title.isprintable() for title in titles)


async def test_files_that_vanish_or_change_while_others_are_read_stop_nothing(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a", "b", "c", "d", "e"):
        (folder / f"{name}.md").write_text(name, encoding="utf-8")
    found: dict[str, str] = {}
    async for item in FolderSource([folder]).documents("acme"):
        if not found:
            (folder / "b.md").unlink()
            (folder / "c.md").write_text("changed", encoding="utf-8")
            (folder / "d.md").unlink()
            (folder / "d.md").mkdir()
        found[item.source] = item.text if isinstance(item, Document) else f"! {item.detail}"
    assert found.pop("docs/b.md").startswith("! docs/b.md was left out: No such file")
    assert found.pop("docs/d.md").startswith("! docs/d.md was left out: ")
    assert found == {"docs/a.md": "a", "docs/c.md": "changed", "docs/e.md": "e"}


async def test_a_file_that_becomes_a_way_out_while_others_are_read_is_not_followed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("b.md", "deep/c.md"):
        (folder / name).write_text("ours", encoding="utf-8")
        (tmp_path / "elsewhere" / Path(name).name).write_text("secret", encoding="utf-8")
    (folder / "a.md").write_text("first", encoding="utf-8")
    texts: list[str] = []
    async for item in FolderSource([folder]).documents("acme"):
        if not texts:
            (folder / "b.md").unlink()
            (folder / "b.md").symlink_to(tmp_path / "elsewhere" / "b.md")
            (folder / "deep").rename(tmp_path / "old")
            (folder / "deep").symlink_to(tmp_path / "elsewhere")
        texts.append(item.text if isinstance(item, Document) else "! problem")
    assert texts == ["first", "! problem", "! problem"]


async def test_a_huge_file_is_told_without_being_read(folder: Path) -> None:
    with (folder / "huge.md").open("wb") as file:
        file.truncate(100_000_000_000)
    documents, problems = await read(FolderSource([folder]))
    assert len(documents) == 3
    assert problems == {"docs/huge.md": "docs/huge.md was left out: it is larger than 2 MB"}


async def test_thousands_of_files_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(3_000):
        (folder / f"{number}.md").write_text(f"page {number}", encoding="utf-8")
    documents, problems = await read(FolderSource([folder]))
    assert (len(documents), problems) == (3_000, {})
