"""Files and folders as documents.

Folders are walked without leaving them: a link that points outside is refused, a pipe or device is never opened. What
is too large, binary or unreadable becomes a `SourceProblem`, and the walk goes on. Files are read one at a time, in a
thread.
"""

import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from databot.rag.base import Document, Loader, RetrievalError, SourceProblem
from databot.rag.markdown import blocks
from databot.rag.text import name_line
from databot.rag.workers import Workers

MAX_FILE_BYTES = 2_000_000
MAX_FILES = 20_000
READ_TIMEOUT_S = 60.0
PROBE_BYTES = 8_192
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


class TextLoader:
    """Markdown and plain text in UTF-8, UTF-16 with its mark, or Windows-1252."""

    suffixes = frozenset({".md", ".markdown", ".mdx", ".txt", ".text", ".rst", ".sql"})

    def load(self, name: str, data: bytes) -> str:
        text = decoded(data).replace("\r\n", "\n")
        if name.lower().endswith(".sql"):
            return f"```sql\n{text.strip()}\n```"
        return without_front_matter(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file as found: `source` is its stable name, `path` has no links left in it."""

    source: str
    path: Path
    loader: Loader


class FolderSource:
    """A `DocumentSource` over files and folders; in a folder, files no loader claims are passed over.

    `loaders` of plugins come before the built-in one. A file that is named itself is read as text if no loader claims
    its suffix. Every tenant that is synced gets these documents.
    """

    def __init__(self, paths: Sequence[Path], loaders: Sequence[Loader] = ()) -> None:
        self._roots = [(name, path) for name, path in zip(_names(paths), paths, strict=True)]
        text = TextLoader()
        self._text: Loader = text
        self._loaders = {
            suffix: loader for loader in (text, *reversed(loaders)) for suffix in loader.suffixes
        }

    async def documents(self, tenant_id: str) -> AsyncIterator[Document | SourceProblem]:  # noqa: ARG002 - the same for every tenant
        workers = Workers("reading documents")
        try:
            for name, root in self._roots:
                found = await self._listed(workers, name, root)
                for item in found:
                    yield item if isinstance(item, SourceProblem) else await _read(workers, item)
        finally:
            await workers.aclose()

    async def _listed(
        self, workers: Workers, name: str, root: Path
    ) -> Sequence[_File | SourceProblem]:
        try:
            return await workers.run(lambda: list(self._walk(name, root)), timeout_s=READ_TIMEOUT_S)
        except RetrievalError as error:
            return [SourceProblem(source=name, detail=error.message)]

    def _walk(self, name: str, root: Path) -> Iterator[_File | SourceProblem]:
        try:
            real = root.resolve(strict=True)
            if real.is_dir():
                yield from self._walk_folder(name, real)
            else:
                loader = self._loaders.get(real.suffix.lower(), self._text)
                yield _File(source=name, path=real, loader=loader)
        except (OSError, RuntimeError) as error:
            yield SourceProblem(source=name, detail=f"{root} cannot be read: {_reason(error)}")

    def _walk_folder(self, name: str, root: Path) -> Iterator[_File | SourceProblem]:
        """Depth first in name order; hidden entries are passed over, a folder is entered once."""
        entered, waiting, files = {root}, [root], 0
        while waiting:
            folder = waiting.pop()
            try:
                entries = _entries(folder)
            except OSError as error:
                source = f"{_source(name, folder, root)}/"
                yield SourceProblem(source=source, detail=f"{source}: {_reason(error)}")
                continue
            for entry in entries:
                found = self._found(_source(name, entry, root), entry, root)
                if isinstance(found, Path) and found not in entered:
                    entered.add(found)
                    waiting.append(entry)
                elif isinstance(found, _File | SourceProblem):
                    files += 1
                    if files > MAX_FILES:
                        detail = f"{root} has more than {MAX_FILES} files; the rest was left out"
                        yield SourceProblem(source=f"{name}/", detail=detail)
                        return
                    yield found

    def _found(self, source: str, entry: Path, root: Path) -> "_File | SourceProblem | Path | None":
        """A file to read, a problem, a folder to enter (without links in its path), or nothing of ours."""
        try:
            real = entry.resolve(strict=False)
        except (OSError, RuntimeError):
            return SourceProblem(source=source, detail=f"{source} is a link that leads nowhere")
        if not real.is_relative_to(root):
            return SourceProblem(source=source, detail=f"{source} leads out of its folder")
        if real.is_dir():
            return real
        loader = self._loaders.get(entry.suffix.lower())
        return _File(source=source, path=real, loader=loader) if loader else None


def decoded(data: bytes) -> str:
    """The text of a file. Raises `ValueError` for what is no text."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:PROBE_BYTES]:
        raise ValueError("it is a binary file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        control = sum(1 for byte in data[:PROBE_BYTES] if byte < 32 and byte not in b"\t\n\r\f")
        if control:
            raise ValueError("it is a binary file") from None
        return data.decode("cp1252", "replace")


def without_front_matter(text: str) -> str:
    """Markdown without the YAML block some tools put at its top."""
    if not text.startswith("---\n"):
        return text
    end = text.find("\n---", 3)
    return text[text.find("\n", end + 1) + 1 :] if end > 0 and "\n" in text[end + 1 :] else text


def title_of(name: str, text: str) -> str:
    """The first heading of a text, or the name of its file."""
    head = blocks(text[:4_000])
    first = next((block.text for block in head if block.kind == "heading"), "")
    return first or name_line(Path(name).stem).replace("_", " ").replace("-", " ")


async def _read(workers: Workers, file: _File) -> Document | SourceProblem:
    try:
        return await workers.run(lambda: _document(file), timeout_s=READ_TIMEOUT_S)
    except (OSError, ValueError) as error:
        detail = f"{file.source} was left out: {_reason(error)}"
    except RetrievalError as error:
        detail = f"{file.source} was left out: {error.message}"
    except Exception as error:  # boundary: one file and its loader, which may be a plugin's
        detail = f"{file.source} was left out: its loader failed with {type(error).__name__}"
    return SourceProblem(source=file.source, detail=detail)


def _document(file: _File) -> Document:
    text = file.loader.load(file.path.name, _bytes(file.path))
    title = title_of(file.path.name, text)
    return Document(source=file.source, title=title, text=text, kind="document")


def _bytes(path: Path) -> bytes:
    """The bytes of a plain file within the size limit; opening never blocks on a pipe and follows no link made meanwhile."""
    descriptor = os.open(path, _OPEN_FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a plain file")
        if path.resolve() != path:
            raise ValueError("it is no longer where it was found")
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    return data


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names for the roots: the last part, or the whole path where two would be called the same."""
    short = [path.name or path.resolve().name for path in paths]
    counts = Counter(short)
    return [
        name_line(name if counts[name] == 1 else path.as_posix())
        for name, path in zip(short, paths, strict=True)
    ]


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _source(name: str, entry: Path, root: Path) -> str:
    return name_line(f"{name}/{entry.relative_to(root).as_posix()}")


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
